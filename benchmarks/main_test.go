package main

import "testing"

// Every library must be right before it's measured: what a change saves comes back, with the other values.
func TestContenders(t *testing.T) {
	for _, size := range sizes {
		t.Run(size.name, func(t *testing.T) {
			contenders, err := newContenders(size.bytes)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range contenders {
				if err := c.check(); err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
			}
			for i, tasks := range measure(contenders, 1) {
				for task, r := range tasks {
					if r.ns <= 0 {
						t.Errorf("%s, task %d: %v ns", contenders[i].name, task, r.ns)
					}
				}
			}
		})
	}
}

// A contender that loses a change is noticed.
func TestCheckFails(t *testing.T) {
	contenders, err := newContenders(110)
	if err != nil {
		t.Fatal(err)
	}
	c := contenders[0]
	c.handlers[change] = c.handlers[read]
	if c.check() == nil {
		t.Error("check passed without any change")
	}
}
