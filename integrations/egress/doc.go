// Package egress is the one HTTP client to systems that are no clouds. People choose
// whom it calls, so it is careful where it goes and with what it gets:
//
//	client, err := egress.New(egress.Config{Allow: []string{"ci.corp.example", "10.20.0.0/16:8443"}})
//	answer, err := client.Call(ctx, delivery.HTTPRequest{URL: "https://ci.corp.example/build/7"})
//
// Every connection is checked when it is made, by the address it leads to. A name that
// resolves to another address than a moment ago gains nothing by it, and a redirect is
// checked like the first request. Public addresses are open, on ports 80, 443 and from
// 1024 on. Addresses of private networks and of this machine are closed unless Config.Allow
// has them, and link-local addresses and those of the clouds' metadata are closed for good.
//
// The request's credentials go to the host that was asked and to no other. Answers are
// bounded in size and time. No proxy is used, and no environment variable is read.
package egress
