"""How receivers reach the network: authorisation, TLS, proxies and headers, and what of it excludes what."""

from alerts.engine.alertmanager.documents import BadConfig, Values, list_of, map_of, plain_text, struct
from alerts.engine.alertmanager.scalars import anything, loose_address, tls_version, truth

RESERVED_HEADERS = frozenset({
    "authorization", "host", "content-encoding", "content-length", "content-type", "user-agent", "connection",
    "keep-alive", "proxy-authenticate", "proxy-authorization", "www-authenticate", "accept-encoding",
    "x-prometheus-remote-write-version", "x-prometheus-remote-read-version", "x-prometheus-scrape-timeout-seconds",
    "x-amz-date", "x-amz-security-token", "x-amz-content-sha256",
})  # fmt: skip
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def given(values: Values, *names: str) -> int:
    """Return how many of the named fields are filled."""
    return sum(bool(values.get(name)) for name in names)


def at_most_one(values: Values, *names: str, said: str = "") -> None:
    """Raise BadConfig where more than one of the fields is filled."""
    if given(values, *names) > 1:
        raise BadConfig(f"at most one of {said or ' & '.join(names)} must be configured")


def present(values: Values, *names: str) -> int:
    """Return how many of the named fields were written with a value, even an empty one."""
    return sum(values.get(name) is not None for name in names)


def _check_tls(values: Values) -> None:
    for part in ("ca", "cert"):
        at_most_one(values, part, f"{part}_file", f"{part}_ref", said=f"{part}, {part}_file & {part}_ref")
    at_most_one(values, "key", "key_file", "key_ref", said="key and key_file")
    certificate, key = given(values, "cert", "cert_file", "cert_ref"), given(values, "key", "key_file", "key_ref")
    if certificate and not key:
        raise BadConfig("exactly one of key or key_file must be configured when a client certificate is configured")
    if key and not certificate:
        raise BadConfig("exactly one of cert or cert_file must be configured when a client key is configured")


TEXTS = dict.fromkeys(
    ("ca", "cert", "key", "ca_file", "cert_file", "key_file", "ca_ref", "cert_ref", "key_ref"), plain_text
)
tls = struct(
    {
        **TEXTS,
        "server_name": plain_text,
        "insecure_skip_verify": truth,
        "min_version": tls_version,
        "max_version": tls_version,
    },
    _check_tls,
    "config.TLSConfig",
)
header = struct({"values": list_of(plain_text), "secrets": list_of(plain_text), "files": list_of(plain_text)})
PROXY = {
    "proxy_url": loose_address,
    "no_proxy": plain_text,
    "proxy_from_environment": truth,
    "proxy_connect_header": map_of(list_of(plain_text)),
}
OAUTH = (
    "client_id", "client_secret", "client_secret_file", "client_secret_ref", "client_certificate_key_id",
    "client_certificate_key", "client_certificate_key_file", "client_certificate_key_ref", "grant_type",
    "signature_algorithm", "iss", "audience", "token_url",
)  # fmt: skip
oauth2 = struct({
    **dict.fromkeys(OAUTH, plain_text), "claims": map_of(anything), "scopes": list_of(plain_text),
    "endpoint_params": map_of(plain_text), "tls_config": tls, **PROXY,
})  # fmt: skip
basic_auth = struct(
    dict.fromkeys(
        ("username", "username_file", "username_ref", "password", "password_file", "password_ref"), plain_text
    )
)
authorization = struct(dict.fromkeys(("type", "credentials", "credentials_file", "credentials_ref"), plain_text))


def _check_http(values: Values) -> None:
    at_most_one(values, "bearer_token", "bearer_token_file")
    bearer = given(values, "bearer_token", "bearer_token_file")
    basic, oauth = values.get("basic_auth"), values.get("oauth2")
    if present(values, "basic_auth", "oauth2") and bearer:
        raise BadConfig("at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured")
    if basic is not None:
        for part in ("username", "password"):
            names = (part, f"{part}_file", f"{part}_ref")
            at_most_one(basic, *names, said=f"basic_auth {part}, {part}_file & {part}_ref")
    _check_authorization(values, bearer)
    if oauth is not None:
        _check_oauth(oauth, basic=basic is not None)
    _check_proxy(values)
    for name in values.get("http_headers") or {}:
        if name.lower() in RESERVED_HEADERS:
            raise BadConfig(f'setting header "{canonical(name)}" is not allowed')


def _check_authorization(values: Values, bearer: int) -> None:
    found = values.get("authorization")
    if found is None:
        return
    if bearer:
        raise BadConfig("authorization is not compatible with bearer_token & bearer_token_file")
    names = ("credentials", "credentials_file", "credentials_ref")
    at_most_one(found, *names, said="authorization credentials & credentials_file")
    if (found.get("type") or "").strip().lower() == "basic":
        raise BadConfig('authorization type cannot be set to "basic", use "basic_auth" instead')
    if present(values, "basic_auth", "oauth2"):
        raise BadConfig("at most one of basic_auth, oauth2 & authorization must be configured")


def _check_oauth(oauth: Values, *, basic: bool) -> None:
    if basic:
        raise BadConfig("at most one of basic_auth, oauth2 & authorization must be configured")
    for name in ("client_id", "token_url"):
        if not oauth.get(name):
            raise BadConfig(f"oauth2 {name} must be configured")
    part = "client_certificate_key" if oauth.get("grant_type") == JWT_BEARER else "client_secret"
    if given(oauth, part, f"{part}_file", f"{part}_ref") > 1:
        raise BadConfig(f"at most one of oauth2 {part}, {part}_file & {part}_ref must be configured")
    if part != "client_secret" and oauth.get("signature_algorithm") not in {None, "", "RS256", "RS384", "RS512"}:
        raise BadConfig("valid signature algorithms are RS256, RS384 and RS512")


def _check_proxy(values: Values) -> None:
    address, environment = values.get("proxy_url"), values.get("proxy_from_environment")
    if values.get("proxy_connect_header") and not environment and not address:
        raise BadConfig(
            "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured"
        )
    if environment and address:
        raise BadConfig("if proxy_from_environment is configured, proxy_url must not be configured")
    if environment and values.get("no_proxy"):
        raise BadConfig("if proxy_from_environment is configured, no_proxy must not be configured")
    if address is None and values.get("no_proxy"):
        raise BadConfig("if no_proxy is configured, proxy_url must also be configured")


def canonical(name: str) -> str:
    """Return a header's name as it is usually written."""
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


http = struct(
    {
        "basic_auth": basic_auth,
        "authorization": authorization,
        "oauth2": oauth2,
        "bearer_token": plain_text,
        "bearer_token_file": plain_text,
        "tls_config": tls,
        "follow_redirects": truth,
        "enable_http2": truth,
        "http_headers": map_of(header),
        **PROXY,
    },
    _check_http,
    "config.HTTPClientConfig",
)
