"""What Cluster Autoscaler calls: a gRPC server over ports.cloud. asyncio lives here and nowhere else.

`adapter` serves, `service` answers, `wire` turns bytes into structs and back, `scan` reads raw protobuf, `pb` is generated.
"""
