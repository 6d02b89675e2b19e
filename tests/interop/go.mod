module lockd/interop

go 1.25.0

require pkt.systems/lockd v0.9.0
