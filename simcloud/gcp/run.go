package gcp

import "time"

// runPlane is Cloud Run's data plane of one project: its revisions' containers and its services' front ends.
type runPlane struct{ project *project }

func newRunPlane(p *project) *runPlane { return &runPlane{project: p} }

// reconcile lets time act on the project's services.
func (p *runPlane) reconcile(time.Time) {}

// runHandlers is the table of Cloud Run's methods.
func runHandlers() map[string]handler { return map[string]handler{} }
