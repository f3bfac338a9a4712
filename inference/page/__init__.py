"""The page of a service: plain HTML, CSS and JavaScript, nothing of which comes from another place."""
