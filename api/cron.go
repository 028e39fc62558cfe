package api

import (
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery/calendar"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// nextFires is how many of the times to come are told of an expression.
const nextFires = 5

// validateCron answers whether a cron expression can be used, and when it comes
// about next. H is shown as it would be for a trigger without an id.
func (s *Server) validateCron(c *gin.Context) error {
	q := queryOf(c)
	expression, name := q.text("expression"), q.text("timezone")
	if err := q.err(); err != nil {
		return err
	}
	if expression == "" {
		return invalid("?expression", "is required")
	}
	if name == "" {
		name = pipeline.DefaultZone
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return render(c, http.StatusOK, v1.CronCheck{Message: fmt.Sprintf("%q is no time zone of the tz database, such as Europe/Berlin", name)})
	}
	cron, err := calendar.ParseCron(expression, "")
	if err != nil {
		return render(c, http.StatusOK, v1.CronCheck{Message: "cronExpression " + err.Error()})
	}
	check := v1.CronCheck{Valid: true, Description: "comes about no more"}
	for at := s.now(); len(check.Next) < nextFires; {
		fire, ok := cron.Next(at, zone)
		if !ok {
			break
		}
		if at = fire.At; len(check.Next) == 0 {
			check.Description = "next at " + at.Format("Monday, 2006-01-02 15:04:05 MST")
		}
		check.Next = append(check.Next, at.UnixMilli())
	}
	return render(c, http.StatusOK, check)
}
