"""What a unit of work costs: this gateway, the floor beneath it, and other gateways beside it, in one interleaved run.

    load (a client on bare sockets) ── target (a gateway, or nginx as the floor) ── upstream (canned frames)

Nothing here is imported from the gateway: it is started as a process, as in production, and judged from outside by the CPU
time and the memory of its process tree. Only ratios inside one run count; the floor is what relaying the same bytes costs.
`make bench` takes every figure; `make bench ARGS="--quick"` is a smoke of about a minute.
"""
