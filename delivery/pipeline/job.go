package pipeline

import "slices"

// JobTypes returns the types of the jobs that a task can have and that can be stages:
// every stage type, sorted.
func JobTypes() []string {
	types := stageTypes()
	out := make([]string, len(types))
	for i, t := range types {
		out[i] = t.name
	}
	return out
}

// IsJob reports whether a task can have jobs of the type; they are stages.
func IsJob(jobType string) bool { return slices.Contains(JobTypes(), jobType) }
