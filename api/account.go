package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

func (s *Server) listAccounts(c *gin.Context) error {
	q := queryOf(c)
	expand := q.flag("expand", false)
	if err := q.err(); err != nil {
		return err
	}
	out := []v1.Account{}
	for _, a := range s.targets.Accounts() {
		out = append(out, presentAccount(a, expand))
	}
	return render(c, http.StatusOK, out)
}

func (s *Server) getAccount(c *gin.Context) error {
	name := param(c, "account")
	for _, a := range s.targets.Accounts() {
		if a.Name == name {
			return render(c, http.StatusOK, presentAccount(a, true))
		}
	}
	return missing(delivery.Errorf(delivery.NotFound, "account"), "Account", name)
}

func presentAccount(a delivery.Account, expand bool) v1.Account {
	out := v1.Account{
		Name: a.Name, Type: a.Provider, AccountID: a.AccountID, RequiredGroupMembership: []string{},
		Permissions: map[string][]string{}, Authorized: true,
	}
	if !expand {
		return out
	}
	no := false
	out.CloudProvider, out.AccountType, out.Environment = a.Provider, a.Name, a.Environment
	out.PrimaryAccount, out.ChallengeDestructiveActions = &no, &no
	for _, region := range a.Regions {
		out.Regions = append(out.Regions, v1.AccountRegion{Name: region})
	}
	return out
}
