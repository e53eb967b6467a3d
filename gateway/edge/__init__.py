"""The edge: connections, HTTP, and what every request and response carries whatever it is about."""
