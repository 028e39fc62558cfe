package api

import (
	"context"
	_ "embed" // for openapi.yaml
	"encoding/json"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
)

//go:embed openapi.yaml
var openAPI []byte

// readyTimeout bounds the question whether the process can serve; a probe that
// waits longer counts as failed anyway.
const readyTimeout = 2 * time.Second

func (s *Server) getVersion(c *gin.Context) error {
	return render(c, http.StatusOK, v1.Version{Version: s.version})
}

func (s *Server) getHealth(c *gin.Context) error {
	status, health := s.health(c.Request.Context())
	return render(c, status, health)
}

// serveHealth is getHealth without gin, for the admin listener.
func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request) {
	status, health := s.health(r.Context())
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(health); err != nil {
		s.log.DebugContext(r.Context(), "health not sent", "error", err.Error())
	}
}

func (s *Server) health(ctx context.Context) (int, v1.Health) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := s.ready(ctx); err != nil {
		return http.StatusServiceUnavailable, v1.Health{Status: "DOWN", Problem: err.Error()}
	}
	return http.StatusOK, v1.Health{Status: "UP"}
}

func (s *Server) getOpenAPI(c *gin.Context) error {
	c.Data(http.StatusOK, "application/yaml; charset=utf-8", openAPI)
	return nil
}

// getUser says who the caller is. Everybody is anonymous while no authentication
// can be configured.
func (s *Server) getUser(c *gin.Context) error {
	accounts := []string{}
	for _, a := range s.targets.Accounts() {
		accounts = append(accounts, a.Name)
	}
	name := principalOf(c).Name
	return render(c, http.StatusOK, v1.User{
		Email: name, Username: name, Roles: []string{}, AllowedAccounts: accounts, Authorities: []v1.Authority{},
		AccountNonExpired: true, AccountNonLocked: true, CredentialsNonExpired: true, Enabled: true,
	})
}
