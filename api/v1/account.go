package v1

// Account is a configured cloud account.
type Account struct {
	Name                    string              `json:"name"`
	Type                    string              `json:"type"`
	AccountID               string              `json:"accountId"`
	RequiredGroupMembership []string            `json:"requiredGroupMembership"`
	Permissions             map[string][]string `json:"permissions"`
	Authorized              bool                `json:"authorized"`

	// The fields below are absent unless expand=true or one account is asked for.
	CloudProvider               string          `json:"cloudProvider,omitempty"`
	AccountType                 string          `json:"accountType,omitempty"`
	Environment                 string          `json:"environment,omitempty"`
	PrimaryAccount              *bool           `json:"primaryAccount,omitempty"`
	ChallengeDestructiveActions *bool           `json:"challengeDestructiveActions,omitempty"`
	Regions                     []AccountRegion `json:"regions,omitempty"`
}

// AccountRegion is a region that an account is configured for.
type AccountRegion struct {
	Name string `json:"name"`
}

// User is who the caller is.
type User struct {
	Email                 string      `json:"email"`
	Username              string      `json:"username"`
	FirstName             string      `json:"firstName"`
	LastName              string      `json:"lastName"`
	Roles                 []string    `json:"roles"`
	AllowedAccounts       []string    `json:"allowedAccounts"`
	Authorities           []Authority `json:"authorities"`
	AccountNonExpired     bool        `json:"accountNonExpired"`
	AccountNonLocked      bool        `json:"accountNonLocked"`
	CredentialsNonExpired bool        `json:"credentialsNonExpired"`
	Enabled               bool        `json:"enabled"`
	IsAdmin               bool        `json:"isAdmin"`
	CanMintAPITokens      bool        `json:"canMintApiTokens"`
}

// Authority is one role in Spring's shape.
type Authority struct {
	Authority string `json:"authority"`
}
