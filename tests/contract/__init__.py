"""Contract tests: the same cases against a real Consul 1.8.7 and against kvstore.

Test names begin with the id of the fact they check; the ids are those of the wire contract.
"""
