"""How weights change: optimizers, schedules, mixed precision."""
