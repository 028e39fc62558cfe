package wirefaults

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
)

// schedule is everything that is decided about one deployment before it begins.
type schedule struct {
	seed int64
	kind kind
	// old and wanted are the sizes of the old and the new server group.
	old, wanted int
	// strategy are the strategy's fields in a cluster object.
	strategy string
	// empties is true when the old server group ends without instances, if it stays.
	empties bool
	// floor and ceiling are what the strategy promises to keep.
	floor, ceiling int
	// groups is how many server groups it makes.
	groups int
	image  string
	// earlier is what is deployed before, one after the other, while nothing goes wrong.
	earlier []earlier
	// operation are the fields of a stage that is about server groups which are there, from
	// "type" on; empty for a deploy stage.
	operation string
	// shares are the percents that an operation ends with, by the numbers of the server
	// groups. Those that are not named are gone.
	shares map[int]int
	// judgment is that of the first step of a canary.
	judgment judgment
	// cancelAt is the look at which the deployment is canceled; 0 for never.
	cancelAt int
	// killAt are the looks at which an instance dies.
	killAt []int
	// failedLaunches is how many launches fail for lack of capacity.
	failedLaunches int
	// deep is the share of the lost answers whose repetitions by the SDK are lost
	// too, so that the adapter's caller has to find out.
	deep float64
	// twice is the share of changes that are applied again after they were done,
	// as when a process dies before it could note the end.
	twice float64
	// throttle, before and delay are shares of all calls.
	throttle, before, delay float64
	delayBy                 time.Duration // real
	// staleAt are the reads at which a run of stale ones begins, each as long as
	// staleFor at the same place.
	staleAt, staleFor []int
	pageSize          int
}

// newSchedule draws a schedule. The kinds take turns, so that a few seeds in a row
// have them all.
func newSchedule(seed int64) schedule {
	all := kinds()
	k := all[seed%int64(len(all))]
	r := rand.New(rand.NewPCG(uint64(seed), 0x51177a7))
	upTo := func(most float64) float64 { return most * r.Float64() }
	sometimes := func(share float64, value func() int) int {
		if r.Float64() < share {
			return value()
		}
		return 0
	}
	s := schedule{
		seed: seed, kind: k, old: 1 + r.IntN(5), wanted: 1 + r.IntN(5), image: k.good,
		deep: upTo(0.5), twice: upTo(0.2), pageSize: 2 + r.IntN(4),
		throttle: upTo(0.05), before: upTo(0.05), delay: upTo(0.05),
		delayBy: time.Duration(20+r.IntN(100)) * time.Millisecond,
	}
	for range r.IntN(12) {
		s.staleAt, s.staleFor = append(s.staleAt, 1+r.IntN(600)), append(s.staleFor, 1+r.IntN(8))
	}
	s.drawStrategy(r)
	switch n := r.IntN(100); {
	case n < 15:
		s.image = k.crashing
	case n < 40:
		s.image = k.slow
	}
	s.cancelAt = sometimes(0.35, func() int { return 1 + r.IntN(40) })
	for range sometimes(0.3, func() int { return 1 + r.IntN(2) }) {
		s.killAt = append(s.killAt, 3+r.IntN(30))
	}
	if len(s.killAt) < 2 && k.launch != (simcloud.Match{}) { // three of them count as a bad version
		s.failedLaunches = sometimes(0.15, func() int { return 1 })
	}
	return s
}

func (s *schedule) drawStrategy(r *rand.Rand) {
	s.floor, s.ceiling, s.groups = min(s.old, s.wanted), s.old+s.wanted, 1
	scaleDown := s.kind.sized && r.IntN(2) == 0 // groups without a size cannot be scaled down
	switch n := r.IntN(10); n {
	case 0:
		if s.strategy = `"strategy":"none"`; s.kind.dark != "" && r.IntN(2) == 0 {
			s.strategy = s.kind.dark
		}
	case 1:
		s.strategy = fmt.Sprintf(`"strategy":"rollingredblack","targetPercentages":[%d,100]`, 1+r.IntN(99))
	case 2, 3:
		weight := 1 + r.IntN(50)
		s.judgment = drawJudgment(s.seed)
		s.strategy = fmt.Sprintf(`"strategy":"canary","steps":[{"weight":%d,"bake":%d%s},{"weight":%d},{"weight":100,"bake":%d}]`,
			weight, r.IntN(60), s.judgment.gate(), weight+1+r.IntN(40), r.IntN(30))
		if scaleDown {
			s.strategy += fmt.Sprintf(`,"keepOldFor":%d`, r.IntN(30))
		}
		s.empties = scaleDown
		if r.IntN(2) == 0 {
			s.strategy = fmt.Sprintf(`"strategy":"canary","baseline":true,"steps":[{"weight":%d,"bake":%d%s},{"weight":50},{"weight":100}]`, 1+weight*48/50, r.IntN(60), s.judgment.gate())
			s.empties, s.groups = false, 2
			s.ceiling += (s.wanted + 1) / 2
		}
	case 4:
		s.strategy = fmt.Sprintf(`"strategy":"bluegreen","delayBeforeDisableSec":%d,"scaleDown":%t`, r.IntN(2)*20, scaleDown)
		s.empties = scaleDown
	case 5:
		s.strategy = `"strategy":"highlander"`
	default:
		s.empties = true
		surge, unavailable := r.IntN(4), r.IntN(3)
		if surge+unavailable == 0 {
			surge = 1
		}
		s.floor = max(1, s.floor-unavailable) // the last healthy instance stays
		s.ceiling = max(s.floor+1, max(s.old, s.wanted)+surge)
		s.strategy = fmt.Sprintf(`"strategy":"rolling","maxSurge":%d,"maxUnavailable":%d,"maxRemainingAsgs":%d`, surge, unavailable, 1+r.IntN(2))
	}
}

// stage is the stage's JSON.
func (s schedule) stage() string {
	if s.operation != "" {
		return s.kind.operationStage(s.operation)
	}
	return s.kind.stage(fmt.Sprintf(`%s,"capacity":{"min":%d,"max":%d,"desired":%d}`, s.strategy, s.wanted, s.wanted+1, s.wanted), s.image)
}

// faults are those that the simulator injects by itself; answers are lost by the
// wire.
func (s schedule) faults() []simcloud.Fault {
	user := s.kind.cloud.principal
	all := []simcloud.Fault{
		{ID: "throttle", Match: simcloud.Match{Principal: user, Probability: s.throttle}, Effect: simcloud.Effect{Kind: simcloud.EffectThrottle}},
		{ID: "error", Match: simcloud.Match{Principal: user, Probability: s.before / 2}, Effect: simcloud.Effect{Kind: simcloud.EffectError, Status: 503}},
		{ID: "reset", Match: simcloud.Match{Principal: user, Probability: s.before / 2}, Effect: simcloud.Effect{Kind: simcloud.EffectReset}},
		{ID: "slow", Match: simcloud.Match{Principal: user, Probability: s.delay}, Effect: simcloud.Effect{Kind: simcloud.EffectSlow, Duration: s.delayBy}},
	}
	for i, nth := range s.staleAt {
		all = append(all, simcloud.Fault{Match: simcloud.Match{Principal: user, Reads: true, Nth: nth},
			Effect: simcloud.Effect{Kind: simcloud.EffectStaleRead, Reads: s.staleFor[i]}})
	}
	if s.failedLaunches > 0 {
		all = append(all, simcloud.Fault{ID: "launch", Match: s.kind.launch,
			Effect: simcloud.Effect{Kind: simcloud.EffectNoCapacity}, Times: s.failedLaunches})
	}
	return all
}

func (s schedule) String() string {
	return fmt.Sprintf("seed %d of %s: %d -> %d of %s, %s, floor %d, ceiling %d, cancel at %d, kills at %v, %d launches fail, deep %.2f, twice %.2f, throttle %.2f, before %.2f, delay %.2f of %s, stale at %v for %v, pages of %d",
		s.seed, s.kind.name, s.old, s.wanted, s.image, s.strategy, s.floor, s.ceiling, s.cancelAt, s.killAt, s.failedLaunches, s.deep, s.twice,
		s.throttle, s.before, s.delay, s.delayBy, s.staleAt, s.staleFor, s.pageSize)
}
