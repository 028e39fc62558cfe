package expression

import (
	"fmt"
	"slices"
	"strconv"
)

// field returns a field of an object; nil of anything else.
func field(v value, names ...string) value {
	for _, name := range names {
		fields, ok := v.(record)
		if !ok {
			return nil
		}
		v = fields[name]
	}
	return v
}

// derived are the variables that follow from trigger and execution.
func (s *scope) derived(name string) (value, bool, error) {
	of := map[string]func() (value, error){
		"buildInfo": func() (value, error) { return s.read("trigger", "buildInfo") },
		"scmInfo":   s.scmInfo,
		"deployedServerGroups": func() (value, error) {
			stages, err := s.stages()
			return deployed(stages, nil), err
		},
		templateVariables: func() (value, error) { return s.read("execution", templateVariables) },
	}[name]
	if of == nil {
		return nil, false, nil
	}
	v, err := of()
	if err != nil || v == nil {
		return nil, false, err
	}
	s.known[name] = v
	return v, true, nil
}

func (s *scope) read(name string, fields ...string) (value, error) {
	v, _, err := s.lookup(name)
	return field(v, fields...), err
}

// scmInfo is the first change of the build that is of neither master nor develop,
// else the first.
func (s *scope) scmInfo() (value, error) {
	v, err := s.read("trigger", "buildInfo", "scm")
	changes, _ := v.(list)
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	i := slices.IndexFunc(changes, func(c value) bool {
		branch := field(c, "branch")
		return branch != "master" && branch != "develop"
	})
	return changes[max(i, 0)], nil
}

// stages are those of the execution.
func (s *scope) stages() (list, error) {
	v, err := s.read("execution", "stages")
	stages, ok := v.(list)
	if err == nil && !ok {
		err = laterError("the stages of the execution are known only when the stage begins")
	}
	return stages, err
}

// findStage returns the first stage one of whose fields is the wanted text. A number
// counts as its digits: refIds are written so.
func (r *run) findStage(wanted value, fields ...string) (record, error) {
	stages, err := r.scope.stages()
	if err != nil {
		return nil, err
	}
	if n, ok := wanted.(int64); ok {
		wanted = strconv.FormatInt(n, 10)
	}
	for _, name := range fields {
		for _, s := range stages {
			if stage, ok := s.(record); ok && isText(wanted) && stage[name] == wanted {
				return withResult(stage), nil
			}
		}
	}
	return nil, nil
}

// withResult adds what Spinnaker's stages tell of their status.
func withResult(stage record) record {
	out := make(record, len(stage)+2)
	for key, v := range stage {
		out[key] = v
	}
	for _, key := range []string{"context", "outputs"} {
		if out[key] == nil {
			out[key] = record{}
		}
	}
	status, _ := stage["status"].(string)
	out["hasSucceeded"], out["hasFailed"] = resultOf(status)
	return out
}

// resultOf is what a status says of how a stage ended.
func resultOf(status string) (succeeded, failed bool) {
	return status == "SUCCEEDED", slices.Contains([]string{"TERMINAL", "FAILED_CONTINUE", "STOPPED", "CANCELED"}, status)
}

func found(stage record, err error, what string, wanted value) (value, error) {
	if err == nil && stage == nil {
		err = fmt.Errorf("the execution has no stage with the %s %v", what, wanted)
	}
	if err != nil {
		return nil, err
	}
	return stage, nil
}

func (r *run) stage(_ value, args []value) (value, error) {
	stage, err := r.findStage(args[0], "name", "id")
	return found(stage, err, "name or id", args[0])
}

func (r *run) stageByRefID(_ value, args []value) (value, error) {
	stage, err := r.findStage(args[0], "refId")
	return found(stage, err, "refId", args[0])
}

func (r *run) stageExists(_ value, args []value) (value, error) {
	stage, err := r.findStage(args[0], "name", "id")
	return stage != nil, err
}

func (r *run) currentStage(value, []value) (value, error) {
	if r.scope.refID == "" {
		return nil, fmt.Errorf("no stage has begun")
	}
	return r.stageByRefID(nil, []value{r.scope.refID})
}

// judgment is the answer that a manual judgment got.
func (r *run) judgment(_ value, args []value) (value, error) {
	stages, err := r.scope.stages()
	if err != nil {
		return nil, err
	}
	for _, s := range stages {
		if isText(args[0]) && field(s, "name") == args[0] && field(s, "type") == "manualJudgment" {
			return field(s, "context", "judgmentInput"), nil
		}
	}
	return nil, fmt.Errorf("the execution has no manual judgment with the name %v", args[0])
}

func (r *run) currentUser(value, []value) (value, error) { return r.scope.read("trigger", "user") }

func (r *run) deployedServerGroups(_ value, args []value) (value, error) {
	stages, err := r.scope.stages()
	return deployed(stages, args), err
}

// deployed lists the server groups that stages made, or that those of the given
// names made: {account, region, serverGroup, parentStage, capacity, deployments}.
func deployed(stages list, names []value) value {
	out := list{}
	for _, stage := range stages {
		if name := field(stage, "name"); len(names) > 0 && !(isText(name) && slices.Contains(names, name)) {
			continue
		}
		groups := field(stage, "outputs", "deploy.server.groups")
		if groups == nil {
			groups = field(stage, "context", "deploy.server.groups")
		}
		regions, _ := groups.(record)
		for _, entry := range entries(regions) {
			made, _ := field(entry, "value").(list)
			for _, name := range made {
				cluster := clusterOf(stage, field(entry, "key"), name)
				out = append(out, record{
					"account": cluster.account, "region": field(entry, "key"), "serverGroup": name, "parentStage": field(stage, "id"),
					"capacity": cluster.capacity, "deployments": list{record{"serverGroupName": name}},
				})
			}
		}
	}
	return out
}

// deployedCluster is what a stage says of the cluster of a server group.
type deployedCluster struct{ account, capacity value }

// clusterOf finds the cluster of a server group: its deployment tells the account,
// which the stage's first cluster has else.
func clusterOf(stage, region, group value) deployedCluster {
	out := deployedCluster{account: account(stage), capacity: field(stage, "context", "capacity")}
	deployments, _ := field(stage, "outputs", "deployments").(list)
	for _, d := range deployments {
		if isText(field(d, "account")) && sameText(field(d, "serverGroup"), group) && sameText(field(d, "region"), region) {
			out.account = field(d, "account")
		}
	}
	clusters, _ := field(stage, "context", "clusters").(list)
	for i, c := range clusters {
		if i == 0 || sameText(field(c, "account"), out.account) && hasRegion(c, region) {
			out.capacity = field(c, "capacity")
		}
	}
	return out
}

// hasRegion reports whether a cluster object names the region.
func hasRegion(cluster, region value) bool {
	zones, _ := field(cluster, "availabilityZones").(record)
	name, _ := region.(string)
	_, ok := zones[name]
	return ok || sameText(field(cluster, "region"), region)
}

// sameText compares what may be anything; only texts are the same.
func sameText(a, b value) bool { return isText(a) && isText(b) && a == b }

func account(stage value) value {
	for _, path := range [][]string{{"context", "account"}, {"context", "deploy.account.name"}, {"context", "credentials"}, {"context", "cluster", "account"}} {
		if v := field(stage, path...); v != nil {
			return v
		}
	}
	if clusters, ok := field(stage, "context", "clusters").(list); ok && len(clusters) > 0 {
		return field(clusters[0], "account")
	}
	return nil
}

// resolvedArtifacts lists the artifacts that the trigger's expected artifacts
// resolved to: all, or those of a name.
func (r *run) resolvedArtifacts(_ value, args []value) (value, error) {
	v, err := r.scope.read("trigger", "resolvedExpectedArtifacts")
	if err != nil {
		return nil, err
	}
	out := list{}
	expected, _ := v.(list)
	for _, e := range expected {
		bound := field(e, "boundArtifact")
		if bound == nil || len(args) == 1 && !(isText(args[0]) && field(bound, "name") == args[0]) {
			continue
		}
		out = append(out, bound)
	}
	return out, nil
}

func (r *run) artifactByName(_ value, args []value) (value, error) {
	return r.artifact("name", args[0])
}

func (r *run) artifactByType(_ value, args []value) (value, error) {
	return r.artifact("type", args[0])
}

// artifact finds the first artifact that the trigger's expected artifacts resolved to.
func (r *run) artifact(by string, of value) (value, error) {
	wanted, err := text(of)
	if err != nil {
		return nil, err
	}
	v, err := r.scope.read("trigger", "resolvedExpectedArtifacts")
	if err != nil {
		return nil, err
	}
	expected, _ := v.(list)
	for _, e := range expected {
		if bound := field(e, "boundArtifact"); bound != nil && field(bound, by) == wanted {
			return bound, nil
		}
	}
	return nil, fmt.Errorf("the trigger resolved no artifact with the %s %v", by, wanted)
}
