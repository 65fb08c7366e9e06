"""`make bench`: what the gateway costs beside nginx `proxy_pass`, as ratios taken within one run.

wrk sends signed requests to each contender in turn; every contender relays to the same nginx with static objects.
The yardstick authenticates nobody. A bare time says as much about the machine and its neighbours as about the program,
so the result of a scenario is the median, over interleaved rounds, of contender / yardstick. The yardstick refuses
nobody either: what a refusal costs stands beside what the same contender spends on a request that it serves.
"""
