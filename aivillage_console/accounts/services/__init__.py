"""What changes users, tokens, sources and the audit trail."""

from aivillage_console.accounts.services.audit import Actor, audit, audit_seal, masked
from aivillage_console.accounts.services.denials import access_denied, forget_denials, sign_in_failed
from aivillage_console.accounts.services.refusals import NotAllowed, Refused
from aivillage_console.accounts.services.sessions import session_end, sessions_of
from aivillage_console.accounts.services.sign_in import (
    first_admin,
    sign_in_link_issue,
    sign_in_link_use,
    sign_in_link_user,
    signed_in,
    signed_out,
)
from aivillage_console.accounts.services.tokens import (
    SCOPES_OF_KIND,
    USED_EVERY_SECONDS,
    source_named,
    source_save,
    token_issue,
    token_revoke,
    token_rotate,
    token_used,
)
from aivillage_console.accounts.services.users import (
    user_create,
    user_disable,
    user_enable,
    user_password_set,
    user_update,
)

__all__ = [
    "SCOPES_OF_KIND",
    "USED_EVERY_SECONDS",
    "Actor",
    "NotAllowed",
    "Refused",
    "access_denied",
    "audit",
    "audit_seal",
    "first_admin",
    "forget_denials",
    "masked",
    "session_end",
    "sessions_of",
    "sign_in_failed",
    "sign_in_link_issue",
    "sign_in_link_use",
    "sign_in_link_user",
    "signed_in",
    "signed_out",
    "source_named",
    "source_save",
    "token_issue",
    "token_revoke",
    "token_rotate",
    "token_used",
    "user_create",
    "user_disable",
    "user_enable",
    "user_password_set",
    "user_update",
]
