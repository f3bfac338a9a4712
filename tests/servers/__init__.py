"""Real servers for the tests: an object store, a web server, and a proxy that injects faults."""
