"""Files that lie in a remote store: their addresses, what the store says of them, and a bounded local cache."""
