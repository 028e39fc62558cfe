package pipeline

// NoopType is the stage type that does nothing: a place where branches meet.
const NoopType = "noop"
