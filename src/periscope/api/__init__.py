"""The HTTP service: routes, who may do what, streams, one shape of errors.

`app.py` puts it together, `serving.py` runs it. A request passes `envelope.py` (its id, its time,
its headers), then `gate.py` (whose it is, and whether that may be), then its handler (one file a
noun), which calls the facade and answers bytes. What is raised on the way becomes a problem in
`problems.py`.
"""

from periscope.api.app import create_app
from periscope.api.serving import Service
from periscope.api.tenants import Tenant, Tenants

__all__ = ["Service", "Tenant", "Tenants", "create_app"]
