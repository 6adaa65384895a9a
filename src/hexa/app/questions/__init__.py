"""What page, API, metrics, notifications and `hexa top` ask: functions over a snapshot, which write nothing and never wait."""
