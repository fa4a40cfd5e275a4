# SPDX-License-Identifier: Apache-2.0
"""Gateways and the prefixes that they serve, as they are shown; never a password."""

from __future__ import annotations

from billing.store.query import Row, rows

__all__ = ["gateway", "gateways", "routes", "vendor", "vendors"]

GATEWAYS_FROM = """
SELECT g.name, g.host, g.port, g.transport, g.enabled, g.inbound, g.outbound, g.any_port, g.username,
       g.password IS NOT NULL AS has_password, g.number_format, g.forwarded_caller, g.identifies,
       g.caller_id::json AS caller_id, g.vendor, g.addresses, g.sources, g.registers, g.realm,
       (SELECT count(*) FROM billing_gatewayroute r WHERE r.gateway_id = g.id) AS routes,
       (SELECT count(*) FROM billing_activecall l WHERE l.gateway_id = g.id) AS calls
  FROM billing_gateway g"""
GATEWAYS = f"""{GATEWAYS_FROM}
 WHERE strpos(lower(g.name), lower(%(text)s)) > 0 OR strpos(lower(g.host), lower(%(text)s)) > 0
    OR strpos(lower(g.vendor), lower(%(text)s)) > 0
 ORDER BY g.name LIMIT %(limit)s"""

ROUTES = """
SELECT r.prefix, r.position AS "order", g.name AS gateway, r.strip, r.prepend, g.enabled AND g.outbound AS used
  FROM billing_gatewayroute r JOIN billing_gateway g ON g.id = r.gateway_id
 WHERE (%(gateway)s::text IS NULL OR g.name = %(gateway)s)
   AND (%(text)s = '' OR starts_with(r.prefix, %(text)s) OR strpos(lower(g.name), lower(%(text)s)) > 0
        OR r.prefix = ANY(ARRAY(SELECT left(%(text)s, n) FROM generate_series(0, length(%(text)s)) n
                                 WHERE %(text)s ~ '^[0-9]+$')))
 ORDER BY r.prefix, r.position, g.name LIMIT %(limit)s"""

VENDORS = """
SELECT g.vendor AS name, count(*) AS gateways, count(*) FILTER (WHERE g.enabled) AS enabled,
       sum((SELECT count(*) FROM billing_gatewayroute r WHERE r.gateway_id = g.id))::integer AS routes,
       sum((SELECT count(*) FROM billing_activecall l WHERE l.gateway_id = g.id))::integer AS calls,
       array_agg(g.name::text ORDER BY g.name) AS connections
  FROM billing_gateway g
 WHERE g.vendor <> '' AND strpos(lower(g.vendor), lower(%(text)s)) > 0
   AND (%(name)s::text IS NULL OR g.vendor = %(name)s)
 GROUP BY g.vendor ORDER BY g.vendor LIMIT %(limit)s"""


def vendors(text: str = "", *, limit: int = 1000) -> list[Row]:
    """Vendors whose name holds `text`: those that gateways name as theirs."""
    return rows(VENDORS, text=text, name=None, limit=limit)


def vendor(name: str) -> Row | None:
    """The vendor of that name; None: no gateway is of one."""
    found = rows(VENDORS, text="", name=name, limit=1)
    return found[0] if found else None


def gateways(text: str = "", *, limit: int = 1000) -> list[Row]:
    """Gateways whose name, host or vendor holds `text`."""
    return rows(GATEWAYS, text=text, limit=limit)


def gateway(name: str) -> Row | None:
    """The gateway of that name; None: there is none."""
    found = rows(f"{GATEWAYS_FROM} WHERE g.name = %(name)s", name=name)
    return found[0] if found else None


def routes(text: str = "", *, gateway: str | None = None, limit: int = 1000) -> list[Row]:
    """Routes whose prefix begins with `text`, those that a number so long could take, and those of gateways whose name
    holds it; `gateway`: of this one alone."""
    return rows(ROUTES, text=text, gateway=gateway, limit=limit)
