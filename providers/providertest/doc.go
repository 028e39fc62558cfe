// Package providertest is what every target kind must do, written as tests. A
// kind passes them by
//
//	func TestConformance(t *testing.T) {
//		providertest.Run(t, func(t *testing.T) providertest.Cloud { return newCloud(t) })
//	}
//
// where the Cloud is a simulated one that is reached through the kind's real
// SDK over HTTP. Each test opens a cloud of its own.
package providertest
