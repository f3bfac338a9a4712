"""Commands that look at a packed dataset, each a file with `add(commands)` and `run(args)`. What a command needs is
imported when it runs."""
