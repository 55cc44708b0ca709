"""Headers by which caches tell that they have kept an answer, and those that only look so."""

from __future__ import annotations

KEPT = (
    *({"Age": value} for value in ("240", "?", "1", "10", "0, 240", "0.5")),
    *({"X-Cache": value} for value in ("HIT", "Hit from cloudfront", "TCP_HIT from squid", "MISS, HIT", "cached-hit")),
    *(
        {"X-Cache": value}
        for value in ("RefreshHit from cloudfront", "TCP_MEM_HIT from a23 (AkamaiGHost)", "HIT, MISS")
    ),
    *({"X-Cache": value} for value in ("Cache Hit", "MISS from one, HIT from another", "HIT (3)")),
    *({name: value} for name in ("X-Cache-Status", "CF-Cache-Status") for value in ("HIT", "STALE", "UPDATING", "hit")),
    *(
        {"X-Proxy-Cache": "HIT"},
        {"Cache-Status": "a; fwd=miss, b; hit; ttl=30"},
        {"Cache-Status": "ExampleCache;hit=?1"},
    ),
    *(
        {"Cache-Status": value}
        for value in ("b; hit", '"CDN Co"; fwd=stale, c; HIT ', "c;hit,d;fwd=miss", "c;ttl=-5;hit")
    ),
    *({"Warning": f'{value} - "Response is Stale"'} for value in ("110", '199 x "y", 110', "111", "112", "113")),
    *(
        {name: "HIT"}
        for name in (
            *(
                "CDN-Cache",
                "X-Vercel-Cache",
                "X-Fastcgi-Cache",
                "X-Sucuri-Cache",
                "X-Nginx-Cache",
                "X-Proxy-Cache-Status",
            ),
            *(
                "X-Cached",
                "X-Drupal-Cache",
                "X-Nextjs-Cache",
                "Akamai-Cache-Status",
                "X-Litespeed-Cache",
                "X-Any-Cache",
            ),
        )
    ),
    *({"X-Vercel-Cache": value} for value in ("STALE", "PRERENDER")),
    *({"X-Litespeed-Cache": "hit,private"}, {"X-Cache-Remote": "TCP_HIT from a23 (AkamaiGHost)"}, {"X-Cache-Hit": "1"}),
    *(
        {"X-Served-From-Cache": "true"},
        {"X-From-Cache": "1"},
        {"X-Cache-Info": "cached"},
        {"X-Cache-Info": "a; cached"},
    ),
    *({"X-Rack-Cache": "fresh"}, {"X-Symfony-Cache": "GET /numbers: fresh"}, {"X-Cache": "FRESH"}),
    *({"X-Cache-Hits": value} for value in ("3", "0, 1", "1, 0", "12")),
    *({"X-Varnish": value} for value in ("1000 999", "7, 1000 999")),
    *(
        {"Server-Timing": value}
        for value in (
            *(
                "cdn-cache; desc=HIT",
                'edge;dur=1, cdn-cache;desc="HIT"',
                "cdn-cache-hit,cdn-pop;desc=A",
                "db, cdn-cache-hit",
            ),
            *('cfCacheStatus;desc="HIT"', "cache;dur=1;desc=stale", 'cache;desc="hit-front", host;desc="a1"'),
        )
    ),
)
"""Headers of an answer that a cache has kept."""

FRESH = (
    *({}, {"Age": "0"}, {"X-Cache": "MISS"}, {"X-Cache": "Miss from cloudfront"}, {"X-Cache-Hits": "0"}),
    *({"Age": value} for value in ("0, 0", "0.0", "00")),
    *({"X-Cache": f"MISS from {host}"} for host in ("architect-proxy", "whitehall-gw1", "hit-1.example", "stale")),
    *({"X-Cache": value} for value in ("MISS from a-hit, MISS from b", "Error from cloudfront", "MISS architect")),
    *({"X-Cache": value} for value in ("hit-for-pass", "TCP_REFRESH_MODIFIED", "UNHIT")),
    *({"CF-Cache-Status": value} for value in ("DYNAMIC", "BYPASS", "MISS", "EXPIRED", "REVALIDATED")),
    *({"X-Cache-Status": "BYPASS"}, {"X-Cache-Lookup": "HIT from squid:3128"}, {"Via": "1.1 varnish"}),
    *(
        {"Cache-Status": value}
        for value in (
            *("a; fwd=uri-miss; stored", "a; hit=?0", "hitless; fwd=bypass", "a; detail=hit"),
            'a; fwd=uri-miss; detail="no ; hit"',
        )
    ),
    *({"Warning": value} for value in ('199 - "110"', '299 - "old"', '214 110.example "x"', '199 - "a, 110"')),
    *(
        {name: "MISS"}
        for name in ("CDN-Cache", "X-Vercel-Cache", "X-Fastcgi-Cache", "X-Sucuri-Cache", "X-Nextjs-Cache", "X-Cached")
    ),
    *({"X-Vercel-Cache": "REVALIDATED"}, {"X-Cache": "CONFIG_NOCACHE"}, {"X-Cache": "N/A"}, {"X-From-Cache": "0"}),
    *({"X-Rack-Cache": value} for value in ("miss", "stale, invalid, store", "stale, valid, store", "pass")),
    *({"X-Cache-Info": value} for value in ("not cached", "uncached", "not cacheable; response too large")),
    *({"X-Varnish": value} for value in ("1000", "1000, 2000")),
    *({"X-Cache-Hits": value} for value in ("0, 0", "")),
    *(
        {"Server-Timing": value}
        for value in (
            *("cdn-cache; desc=MISS, edge; dur=12", 'cfCacheStatus;desc="DYNAMIC", cfEdge;dur=7', "cdn-cache-miss"),
            *("cache_read.active_support;dur=0.2, sql;dur=3", "db;desc=hit", 'total;dur=12, app;desc="cache hits"'),
        )
    ),
    *(
        *(
            {"Cache-Control": "no-store, must-revalidate, max-age=0"},
            {"X-Cache-Enabled": "True"},
            {"X-Cacheable": "YES"},
        ),
        *(
            {"X-Cache-Key": "/hit"},
            {"Cache-Tag": "hit, stale"},
            {"X-Served-By": "cache-fra-1"},
            {"CDN-CachedAt": "now"},
        ),
        *({"X-Cache-Server": "hit-01"}, {"CDN-Cache-Control": "max-age=1"}, {"Surrogate-Control": "no-store"}),
        *({"ETag": 'W/"1-hit"'}, {"Vary": "Accept-Encoding"}, {"X-Request-Id": "hit-1"}, {"CF-Ray": "8-FRA"}),
        *({"Strict-Transport-Security": "max-age=1"}, {"X-RateLimit-Remaining": "99"}, {"X-Runtime": "0.01"}),
    ),
)
"""Headers of an answer that comes from the provider."""
