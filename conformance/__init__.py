"""What kvstore is measured against: the real Consul, and the clients that were written for it."""
