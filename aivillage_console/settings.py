"""Django settings; every value a person may change comes from `env.Config`."""

from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONCE, NONE, SELF
from environ import Env

from aivillage_console.env import BASE_DIR, environment, read

CONFIG = read(environment())
PUBLIC = urlsplit(CONFIG.public_url)
HTTPS = PUBLIC.scheme == "https"

SECRET_KEY = CONFIG.secret_key
SECRET_KEY_FALLBACKS = CONFIG.secret_key_fallbacks
DEBUG = CONFIG.debug
ALLOWED_HOSTS = [PUBLIC.hostname or "localhost", *CONFIG.allowed_hosts]
CSRF_TRUSTED_ORIGINS = [CONFIG.public_url]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django_celery_beat",
    "aivillage_console",
    "aivillage_console.accounts",
    "metrics",
    "alerts",
    "security",
    "health",
    "forge_dashboard",
    "servestatic.runserver_nostatic",
    "aivillage_console.accounts.apps.ConsoleAdminConfig",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_htmx",
    "django_prometheus",
    "channels",
    "axes",
    "csp",
]

MIDDLEWARE = [
    "aivillage_console.middleware.RequestId",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "aivillage_console.middleware.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "aivillage_console.accounts.middleware.SessionLimits",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "aivillage_console.urls"
WSGI_APPLICATION = "aivillage_console.wsgi.application"
ASGI_APPLICATION = "aivillage_console.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "aivillage_console.home.shell",
            ],
        },
    },
]


def _database(url: str) -> dict[str, Any]:
    config = Env.db_url_config(url, engine="django_prometheus.db.backends.postgresql")
    options = {"application_name": f"console-{CONFIG.role}", **config.get("OPTIONS", {})}
    if CONFIG.db_pool_size:
        options["pool"] = {"min_size": 1, "max_size": CONFIG.db_pool_size}
    # A pool hands connections back after each request; without one the thread keeps its own.
    max_age = 0 if CONFIG.db_pool_size else CONFIG.db_conn_max_age_seconds
    return {**config, "OPTIONS": options, "CONN_MAX_AGE": max_age, "CONN_HEALTH_CHECKS": True}


DATABASES = {"default": _database(CONFIG.database_url or "postgresql://postgres@localhost/console")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


def _redis(number: int) -> str:
    # Broker, cache and channel layer each get a database of their own, so that flushing one spares the others.
    return urlsplit(CONFIG.redis_url or "redis://localhost:6379")._replace(path=f"/{number}").geturl()


CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": _redis(2)}}
CHANNEL_LAYERS = {
    "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [_redis(1)]}},
}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_HTTP_RESPONSE_CODE = 429
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False

SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
CSRF_COOKIE_HTTPONLY = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if CONFIG.trusted_proxies else None
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^-/"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF, CONFIG.sockets_origin],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "manifest-src": [SELF],
    },
}

STATIC_URL = "static/"
STATIC_ROOT = CONFIG.state_path / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_AUTOREFRESH = DEBUG
SERVESTATIC_MAX_AGE = 60

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["aivillage_console.lib.jsonbody.BoundedJSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "aivillage_console.accounts.authentication.TokenAuthentication",
        "aivillage_console.accounts.authentication.BrowserAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["aivillage_console.accounts.permissions.AdminGate"],
    "EXCEPTION_HANDLER": "aivillage_console.lib.problem.handle",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "AIVillage Console",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["aivillage_console.accounts.permissions.Gate"],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "RuleKindEnum": "alerts.models.rules.RuleKind",
        "TokenKindEnum": "aivillage_console.accounts.models.TokenKind",
        "WorkStateEnum": [(name, name.capitalize()) for name in ("due", "done", "failed", "cancelled")],
        "MessageStateEnum": [(name, name.capitalize()) for name in ("due", "done", "quarantined")],
        "NotificationKindEnum": "alerts.engine.states.NotificationKind",
        "SeverityEnum": [(name, name.capitalize()) for name in ("critical", "high", "medium", "low")],
        "BlockScopeEnum": "security.models.BlockScope",
        "AllowScopeEnum": "security.models.AllowScope",
        "HealthStatusEnum": "health.models.Status",
        "RunStateEnum": "forge_dashboard.models.RUN_STATES",
        "PhaseStateEnum": "forge_dashboard.models.PHASE_STATES",
        "GateStateEnum": "forge_dashboard.models.GATE_STATES",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# Celery is the hands, never the memory: JSON only, no results, late acknowledgement, one message a thread.
CELERY_BROKER_URL = _redis(0)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 60,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "health_check_interval": 10,
}
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_STORE_EAGER_RESULT = False
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_TASK_DEFAULT_QUEUE = "maintain"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_TIMEZONE = "UTC"
CELERY_TASK_ROUTES = {
    "alerts.tasks.evaluate": {"queue": "evaluate"},
    "alerts.tasks.escalate": {"queue": "escalate"},
    "alerts.tasks.dispatch": {"queue": "dispatch"},
    "alerts.tasks.sync": {"queue": "sync"},
    "security.tasks.detect": {"queue": "detect"},
    "health.tasks.check": {"queue": "sync"},
    "alerts.tasks.backfill": {"queue": "maintain"},
}
# The third net: beat rings every 10 s, and a ring nobody answers is worth nothing after the next one.
_RING = {"schedule": 10.0, "options": {"expires": 10}}
CELERY_BEAT_SCHEDULE = {
    "ring-evaluate": {"task": "alerts.tasks.evaluate", **_RING},
    "ring-escalate": {"task": "alerts.tasks.escalate", **_RING},
    "ring-dispatch": {"task": "alerts.tasks.dispatch", **_RING},
    "ring-sync": {"task": "alerts.tasks.sync", **_RING},
    "ring-detect": {"task": "security.tasks.detect", **_RING},
    "ring-check": {"task": "health.tasks.check", **_RING},
    "ring-backfill": {"task": "alerts.tasks.backfill", **_RING},
    "keep-forge": {"task": "forge_dashboard.tasks.maintain", "schedule": 3600.0, "options": {"expires": 600}},
    "keep-security": {"task": "security.tasks.maintain", "schedule": 60.0, "options": {"expires": 60}},
    "seal-audit": {"task": "accounts.tasks.seal_audit", "schedule": 60.0, "options": {"expires": 60}},
}
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
DJANGO_CELERY_BEAT_TZ_AWARE = True

PROMETHEUS_EXPORT_MIGRATIONS = False

LOGGING_CONFIG = "aivillage_console.logs.configure"
LOGGING = {"level": CONFIG.log_level, "json": CONFIG.log_json, "role": CONFIG.role}
