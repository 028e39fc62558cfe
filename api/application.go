package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

func (s *Server) listApplications(c *gin.Context) error {
	q := queryOf(c)
	account, owner := q.text("account"), q.text("owner")
	if err := q.err(); err != nil {
		return err
	}
	apps, err := s.store.Applications(c.Request.Context())
	if err != nil {
		return err
	}
	deploys := map[string]bool{}
	if account != "" {
		if deploys, err = s.deployingTo(c, account); err != nil {
			return err
		}
	}
	out := []object{}
	for _, app := range apps {
		attributes := presentAttributes(app)
		email, _ := attributes.text("email")
		accounts, _ := attributes.text("accounts")
		if owner != "" && !strings.EqualFold(owner, email) || account != "" && !inList(accounts, account) && !deploys[app.Name] {
			continue
		}
		out = append(out, attributes)
	}
	return render(c, http.StatusOK, out)
}

// deployingTo are the applications whose pipelines deploy to an account. No cloud is
// asked for it.
func (s *Server) deployingTo(c *gin.Context, account string) (map[string]bool, error) {
	places, err := s.seenPlaces(c)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, p := range places {
		if p.cluster.Account == account {
			out[strings.ToLower(p.cluster.Moniker.App)] = true
		}
	}
	return out, nil
}

// inList reports whether a comma-separated list has the word.
func inList(list, word string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(one) == word {
			return true
		}
	}
	return false
}

func (s *Server) getApplication(c *gin.Context) error {
	q := queryOf(c)
	expand := q.flag("expand", true)
	if err := q.err(); err != nil {
		return err
	}
	app, err := s.application(c.Request.Context(), param(c, "app"))
	if err != nil {
		return err
	}
	out := v1.ApplicationDetail{Name: app.Name, Attributes: presentAttributes(app).raw(), Clusters: map[string][]v1.ClusterOfApplication{}}
	if !expand {
		return render(c, http.StatusOK, out)
	}
	clusters, err := s.observeClusters(c.Request.Context(), app.Name, clusterFilter{anew: wantsAnew(c)})
	if err != nil {
		return err
	}
	for _, cluster := range clusters {
		names := []string{} // sorted by region: the regions of a cluster may have groups of one name
		for _, group := range cluster.ServerGroups {
			if !slices.Contains(names, group.Name) {
				names = append(names, group.Name)
			}
		}
		out.Clusters[cluster.Account] = append(out.Clusters[cluster.Account], v1.ClusterOfApplication{
			Name: cluster.Name, LoadBalancers: cluster.LoadBalancers, ServerGroups: names, Provider: cluster.CloudProvider,
		})
	}
	return render(c, http.StatusOK, out)
}

// getApplicationHistory lists the saves of an application, newest first.
func (s *Server) getApplicationHistory(c *gin.Context) error {
	q := queryOf(c)
	limit := q.number("limit", 20, 1000)
	if err := q.err(); err != nil {
		return err
	}
	out := []object{}
	if limit == 0 { // the store takes it for no limit
		return render(c, http.StatusOK, out)
	}
	found, err := s.store.DocumentHistory(c.Request.Context(), delivery.ApplicationDocument, strings.ToLower(param(c, "app")), limit)
	if err != nil {
		return err
	}
	for _, d := range found {
		out = append(out, presentAttributes(delivery.Application{Name: d.Name, Attributes: d.Content, CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt, LastModifiedBy: d.LastModifiedBy}))
	}
	return render(c, http.StatusOK, out)
}

func (s *Server) application(ctx context.Context, name string) (delivery.Application, error) {
	app, err := s.store.Application(ctx, name)
	return app, missing(err, "Application", name)
}

// presentAttributes returns the flat object that clients know, with the fields
// that the server keeps set over what was saved.
func presentAttributes(app delivery.Application) object {
	out := objectOf(app.Attributes)
	out.set("name", app.Name)
	out.set("createTs", v1.TextOf(app.CreatedAt))
	out.set("updateTs", v1.TextOf(app.UpdatedAt))
	out.set("lastModifiedBy", app.LastModifiedBy)
	return out
}
