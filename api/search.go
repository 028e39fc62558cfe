package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

const (
	// minSearchQuery is how many characters a query needs, as in Spinnaker.
	minSearchQuery = 3
	// defaultPageSize is Spinnaker's.
	defaultPageSize = 10_000
)

// finders say how each type is searched. Types that are not here are found nowhere.
var finders = map[string]func(s *Server, c *gin.Context, text string) ([]object, error){
	"applications":  (*Server).findApplications,
	"clusters":      (*Server).findClusters,
	"loadBalancers": (*Server).findLoadBalancers,
	"serverGroups":  (*Server).findServerGroups,
	"instances":     (*Server).findInstances,
	"projects":      (*Server).findProjects,
}

// search looks in what is recorded, and for server groups and instances into the
// one application that the query begins with. No account is ever listed for it.
func (s *Server) search(c *gin.Context) error {
	q := queryOf(c)
	types, text := q.list("type"), q.text("q")
	size, page := q.number("pageSize", defaultPageSize, defaultPageSize), q.number("page", 1, 1<<20)
	short := q.flag("allowShortQuery", false)
	if len(types) == 0 {
		q.refuse("type", "is required")
	}
	if err := q.err(); err != nil {
		return err
	}
	if utf8.RuneCountInString(text) < minSearchQuery && !short {
		return render(c, http.StatusOK, []v1.SearchPage{})
	}
	out := []v1.SearchPage{}
	for _, kind := range types {
		var found []object
		if find := finders[kind]; find != nil {
			var err error
			if found, err = find(s, c, strings.ToLower(text)); err != nil {
				return err
			}
		}
		shown := pageOf(narrowed(found, c), kind, max(page, 1), size)
		shown.Query, shown.Platform = text, cmp.Or(q.text("platform"), "aws")
		out = append(out, shown)
	}
	return render(c, http.StatusOK, out)
}

// searchParameters are those that are no filters.
var searchParameters = []string{"type", "q", "platform", "pageSize", "page", "allowShortQuery"}

// narrowed keeps what has the value of every other parameter in the field of its name.
func narrowed(found []object, c *gin.Context) []object {
	for name, values := range c.Request.URL.Query() {
		if slices.Contains(searchParameters, name) || values[0] == "" {
			continue
		}
		found = slices.DeleteFunc(found, func(one object) bool {
			text, err := one.text(name)
			_, has := one[name]
			return has && err == nil && !strings.EqualFold(text, values[0])
		})
	}
	return found
}

func pageOf(found []object, kind string, page, size int) v1.SearchPage {
	out := v1.SearchPage{PageNumber: page, PageSize: size, TotalMatches: len(found), Results: []json.RawMessage{}}
	begin := min((page-1)*size, len(found))
	for _, one := range found[begin:min(begin+size, len(found))] {
		one.set("type", kind)
		out.Results = append(out.Results, one.raw())
	}
	return out
}

func found(fields map[string]string) object {
	out := object{}
	for key, value := range fields {
		out.set(key, value)
	}
	return out
}

func (s *Server) findApplications(c *gin.Context, text string) ([]object, error) {
	apps, err := s.store.Applications(c.Request.Context())
	if err != nil {
		return nil, err
	}
	var out []object
	for _, app := range apps {
		attributes := presentAttributes(app)
		email, _ := attributes.text("email")
		if !strings.Contains(app.Name, text) && !strings.Contains(strings.ToLower(email), text) ||
			s.authorize(principalOf(c), read, resource{app.Name}) != nil {
			continue
		}
		attributes.set("application", app.Name)
		attributes.set("url", "/applications/"+app.Name)
		out = append(out, attributes)
	}
	return out, nil
}

func (s *Server) findProjects(c *gin.Context, text string) ([]object, error) {
	all, err := s.store.Documents(c.Request.Context(), delivery.ProjectDocument, "")
	if err != nil {
		return nil, err
	}
	var out []object
	for _, d := range all {
		if strings.Contains(strings.ToLower(d.Name), text) {
			one := presentProject(d)
			one.set("project", d.Name)
			one.set("url", "/projects/"+url.PathEscape(d.Name))
			out = append(out, one)
		}
	}
	return out, nil
}

// findClusters finds clusters that pipelines deploy to.
func (s *Server) findClusters(c *gin.Context, text string) ([]object, error) {
	places, err := s.seenPlaces(c)
	if err != nil {
		return nil, err
	}
	var out []object
	known := map[string]bool{}
	for _, p := range places {
		of := p.cluster
		key := of.Provider + " " + of.Account + " " + of.Name()
		if known[key] || !strings.Contains(strings.ToLower(of.Name()), text) {
			continue
		}
		known[key] = true
		out = append(out, found(map[string]string{"cluster": of.Name(), "name": of.Name(), "application": of.Moniker.App, "account": of.Account,
			"provider": of.Provider, "stack": of.Moniker.Stack, "detail": of.Moniker.Detail,
			"url": fmt.Sprintf("/applications/%s/clusters/%s/%s", of.Moniker.App, of.Account, of.Name())}))
	}
	return out, nil
}

func (s *Server) findLoadBalancers(c *gin.Context, text string) ([]object, error) {
	places, err := s.namedPlaces(c, func(p place) bool { return strings.Contains(strings.ToLower(p.loadBalancer), text) })
	if err != nil {
		return nil, err
	}
	var out []object
	for _, b := range presentNamed(places) {
		for _, account := range b.Accounts {
			for _, region := range account.Regions {
				for _, key := range region.LoadBalancers {
					out = append(out, found(map[string]string{"loadBalancer": key.Name, "name": key.Name, "account": key.Account, "region": key.Region,
						"provider": key.Type}))
				}
			}
		}
	}
	return out, nil
}
