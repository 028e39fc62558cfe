package main

import (
	"context"
	"errors"
	"fmt"
)

// measureRuns starts the subjects one after the other, then all of them at once to
// read their memory.
func measureRuns(ctx context.Context, m *measurement) error {
	ready := map[string]series{}
	for round := range m.rounds + 1 {
		err := m.withEngine(ctx, func(server *running) error {
			started := []*running{server}
			for _, s := range m.others() {
				r, err := launch(ctx, m.place, s, server.at)
				if err != nil {
					return err
				}
				if err := r.stop(); err != nil {
					return err
				}
				started = append(started, r)
			}
			for _, r := range started {
				if round > 0 { // the first start makes the files and loads the binary
					ready[r.subject.name] = append(ready[r.subject.name], float64(r.ready.Milliseconds()))
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	t := newTable(m.out, "From the start until it is ready, ms; its files are there already", "", "ms", "ratio")
	for _, s := range m.subjects {
		t.row(s.name, ready[s.name].String(), ready[s.name].against(ready[shipped]))
	}
	return errors.Join(t.flush(), m.measureMemory(ctx))
}

func (m *measurement) measureMemory(ctx context.Context) error {
	resident, proportional, anonymous := map[string]series{}, map[string]series{}, map[string]series{}
	for range m.readings {
		err := m.withEngine(ctx, func(server *running) (err error) {
			all := []*running{server}
			defer func() {
				for _, r := range all[1:] {
					err = errors.Join(err, r.stop())
				}
			}()
			for _, s := range m.others() {
				r, err := launch(ctx, m.place, s, server.at)
				if err != nil {
					return err
				}
				all = append(all, r)
			}
			now, err := settled(ctx, all)
			if err != nil {
				return err
			}
			for i, r := range all {
				name := r.subject.name
				resident[name] = append(resident[name], float64(now[i].resident)/1024)
				proportional[name] = append(proportional[name], float64(now[i].proportional)/1024)
				anonymous[name] = append(anonymous[name], float64(now[i].anonymous)/1024)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	t := newTable(m.out, fmt.Sprintf("Idle memory, MiB, %s after the start", forced), "", "RSS", "ratio", "PSS", "anonymous", "ratio")
	for _, s := range m.subjects {
		t.row(s.name, resident[s.name].String(), resident[s.name].against(resident[shipped]), proportional[s.name].String(),
			anonymous[s.name].String(), anonymous[s.name].against(anonymous[shipped]))
	}
	return t.flush()
}

// withEngine runs do while the Temporal server runs.
func (m *measurement) withEngine(ctx context.Context, do func(server *running) error) error {
	for _, s := range m.subjects {
		if s.name == engine {
			server, err := launch(ctx, m.place, s, "")
			if err != nil {
				return err
			}
			return errors.Join(do(server), server.stop())
		}
	}
	return errors.New("no engine among the subjects")
}

// others are the subjects without the engine.
func (m *measurement) others() []subject {
	var out []subject
	for _, s := range m.subjects {
		if s.name != engine {
			out = append(out, s)
		}
	}
	return out
}
