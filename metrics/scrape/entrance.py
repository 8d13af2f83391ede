"""What it takes to enter a destination: headers with credentials, and TLS."""

import base64
import os
import ssl
import tempfile
from collections.abc import Mapping

from aivillage_console.lib.pulling import Puller, tls_context
from metrics.scrape import files
from metrics.wire.scraping.fields import BadConfig
from metrics.wire.scraping.scrape_config import Access, Tls

VERSIONS = {"TLS10": ssl.TLSVersion.TLSv1_2, "TLS11": ssl.TLSVersion.TLSv1_2, "TLS12": ssl.TLSVersion.TLSv1_2,
            "TLS13": ssl.TLSVersion.TLSv1_3}  # fmt: skip


def headers_of(access: Access) -> Mapping[str, str]:
    """Return the headers a request carries; files are read now. Raises BadConfig."""
    found = dict(access.headers)
    for name, file in access.header_files:
        found[name] = files.read_text(file).strip()
    if access.username or access.password or access.password_file:
        password = files.read_text(access.password_file).strip() if access.password_file else access.password
        text = base64.b64encode(f"{access.username}:{password}".encode()).decode()
        found["Authorization"] = f"Basic {text}"
    elif access.credentials or access.credentials_file:
        text = files.read_text(access.credentials_file).strip() if access.credentials_file else access.credentials
        found["Authorization"] = f"{access.kind} {text}"
    return found


def _certificate(tls: Tls) -> tuple[str, str]:
    cert = files.read_text(tls.cert_file) if tls.cert_file else tls.cert
    key = files.read_text(tls.key_file) if tls.key_file else tls.key
    return cert, key


def context_of(tls: Tls) -> ssl.SSLContext:
    """Return how a destination is verified; raises BadConfig where a certificate cannot be used."""
    ca = files.read_text(tls.ca_file) if tls.ca_file else tls.ca
    cert, key = _certificate(tls)
    minimum = VERSIONS.get(tls.min_version)
    try:
        if not cert:
            return tls_context(ca=ca, insecure=tls.insecure, minimum=minimum)
        # The library reads a client certificate from a file only; this one is gone before anybody could look.
        handle, path = tempfile.mkstemp(suffix=".pem")
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(f"{cert}\n{key}\n")
            return tls_context(ca=ca, cert=path, insecure=tls.insecure, minimum=minimum)
        finally:
            os.unlink(path)  # noqa: PTH108
    except (OSError, ValueError) as error:
        raise BadConfig("tls_config", f"a certificate cannot be used: {error}") from None


def puller_for(url: str, access: Access, context: ssl.SSLContext | None) -> Puller:
    """Return a client for one destination."""
    return Puller(url, context=context, server_name=access.tls.server_name)
