"""/v1/session/oidc: people sign in with the OpenID provider of periscope.toml.

What a browser must bring back stands in a cookie of its own. `SameSite=Lax` lets it come along when
the provider sends the browser back; the session's cookie, which is `Strict`, is set by the answer.
"""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get
from litestar.params import Parameter, QueryParameter
from litestar.response import Redirect

from periscope.access.oidc import PENDING_S
from periscope.api.forms import NOTHING_TO_SEE
from periscope.api.problems import RequestRefused
from periscope.api.session import cookie, signed_in
from periscope.api.tenants import SignOn, Tenants
from periscope.errors import Unauthenticated

PENDING_COOKIE = "__Host-periscope-oidc"
HOME = "/"
MOST = 4096
Code = Annotated[str | None, Parameter(description="The provider's code.", max_length=MOST)]
State = Annotated[
    str | None,
    QueryParameter(name="state", description="As it was given to the provider.", max_length=MOST),
]


@get(
    "/session/oidc",
    opt={"answers": {303: NOTHING_TO_SEE}, "problems": (401, 404)},
    tags=["session"],
    security=[],
    status_code=303,
)
async def begin_sign_in(request: Request[Any, Any, Any]) -> Redirect:
    """Send the browser to the OpenID provider, which sends it back to the callback."""
    url, pending = await _sign_on(request).login.begin()
    answer = Redirect(url, status_code=303)
    answer.set_cookie(cookie(PENDING_COOKIE, pending, same_site="lax", max_age=PENDING_S))
    return answer


@get(
    "/session/oidc/callback",
    opt={
        "any_query": True,
        "answers": {303: NOTHING_TO_SEE},
        "problems": (401, 403, 404, 422, 429, 503, 507),
    },
    tags=["session"],
    security=[],
    status_code=303,
)
async def finish_sign_in(
    request: Request[Any, Any, Any], code: Code = None, given_state: State = None
) -> Redirect:
    """Take back the browser: begin a session, and send it to the console.

    Providers add parameters of their own, which are passed over.
    """
    sign_on = _sign_on(request)
    pending = request.cookies.get(PENDING_COOKIE, "")
    if code is None or given_state is None or len(request.query_params.getall("state")) > 1:
        raise Unauthenticated("the OpenID provider did not let you in; begin again")
    claims = await sign_on.login.finish(code, given_state, pending)
    token, _ = await sign_on.tenant.access.sign_in_as(
        claims.name, claims.scopes, issuer=claims.issuer
    )
    answer = Redirect(HOME, status_code=303)
    signed_in(answer, token)
    answer.set_cookie(cookie(PENDING_COOKIE, "", same_site="lax", max_age=0))
    return answer


def _sign_on(request: Request[Any, Any, Any]) -> SignOn:
    tenants: Tenants = request.app.state.tenants
    if tenants.sign_on is None:
        raise RequestRefused(
            404, "not-found", "no OpenID provider is set up: [oidc] in periscope.toml"
        )
    return tenants.sign_on


ROUTES: tuple[Any, ...] = (begin_sign_in, finish_sign_in)
