package v1

// ExpressionCapabilities is what expressions in pipelines may call and read.
type ExpressionCapabilities struct {
	Functions []ExpressionFunction `json:"functions"`
	// Fields are the variables that every expression can read.
	Fields         []ExpressionField `json:"fields"`
	SpelEvaluators []SpelEvaluator   `json:"spelEvaluators"`
}

// ExpressionFunction is a function that is called as #name(...).
type ExpressionFunction struct {
	Name        string                `json:"name"`
	Description string                `json:"description"`
	Parameters  []ExpressionParameter `json:"parameters"`
}

// ExpressionParameter is a parameter of a function.
type ExpressionParameter struct {
	Type        string `json:"type"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

// ExpressionField is a variable.
type ExpressionField struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// SpelEvaluator is a way to evaluate expressions; Slipway has one.
type SpelEvaluator struct {
	VersionKey  string `json:"versionKey"`
	DisplayName string `json:"displayName"`
	Description string `json:"description"`
}

// QuietPeriod is when triggers are ignored, in milliseconds since 1970.
type QuietPeriod struct {
	Enabled   bool  `json:"enabled"`
	StartTime int64 `json:"startTime"`
	EndTime   int64 `json:"endTime"`
}
