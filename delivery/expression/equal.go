package expression

// equal compares by value; 1 and 1.0 are equal. Every element is a step.
func (r *run) equal(a, b value) (bool, error) {
	if err := r.step(); err != nil {
		return false, err
	}
	switch x := a.(type) {
	case list:
		y, ok := b.(list)
		return r.equalLists(x, y, ok)
	case record:
		y, ok := b.(record)
		return r.equalRecords(x, y, ok)
	}
	r.steps += min(size(a), size(b)) / stepBytes
	switch b.(type) {
	case list, record:
		return false, nil
	}
	if x, ok := asFloat(a); ok {
		if y, ok := asFloat(b); ok && kindsDiffer(a, b) {
			return x == y, nil
		}
	}
	return a == b, nil
}

// kindsDiffer is true for a whole number and a fraction.
func kindsDiffer(a, b value) bool {
	_, x := a.(int64)
	_, y := b.(int64)
	return x != y
}

func (r *run) equalLists(x, y list, comparable bool) (bool, error) {
	if !comparable || len(x) != len(y) {
		return false, nil
	}
	for i := range x {
		if same, err := r.equal(x[i], y[i]); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

func (r *run) equalRecords(x, y record, comparable bool) (bool, error) {
	if !comparable || len(x) != len(y) {
		return false, nil
	}
	for key, v := range x {
		w, ok := y[key]
		if !ok {
			return false, nil
		}
		if same, err := r.equal(v, w); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}
