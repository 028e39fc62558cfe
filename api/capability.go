package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery/expression"
)

// getExpressionCapabilities lists what expressions may call and read.
func (s *Server) getExpressionCapabilities(c *gin.Context) error {
	out := v1.ExpressionCapabilities{Functions: []v1.ExpressionFunction{}, Fields: []v1.ExpressionField{},
		SpelEvaluators: []v1.SpelEvaluator{{VersionKey: "v4", DisplayName: "Evaluate when a stage starts",
			Description: "The fields of a stage are evaluated when it starts, whatever the pipeline asks for."}}}
	for _, f := range expression.Functions() {
		shown := v1.ExpressionFunction{Name: f.Name, Description: f.Description, Parameters: []v1.ExpressionParameter{}}
		for _, p := range f.Parameters {
			shown.Parameters = append(shown.Parameters, v1.ExpressionParameter{Type: p.Type, Name: p.Name, Description: p.Description})
		}
		out.Functions = append(out.Functions, shown)
	}
	for _, f := range expression.Fields() {
		out.Fields = append(out.Fields, v1.ExpressionField{Name: f.Name, Description: f.Description})
	}
	return render(c, http.StatusOK, out)
}

// getQuietPeriod says that no quiet period is configured: there is no such setting.
func (s *Server) getQuietPeriod(c *gin.Context) error {
	return render(c, http.StatusOK, v1.QuietPeriod{})
}

// getLoggedOut is what a browser sees after it logged out.
func (s *Server) getLoggedOut(c *gin.Context) error {
	c.Data(http.StatusOK, "text/plain; charset=utf-8", []byte("You are logged out.\n"))
	return nil
}
