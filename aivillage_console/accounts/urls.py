"""Ways in and out, and the REST part of accounts."""

from django.urls import URLPattern, URLResolver, path

from aivillage_console.accounts import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("sign-in/", views.SignInView.as_view(), name="sign-in"),
    path("sign-in/<str:secret>/", views.sign_in_link, name="sign-in-link"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("settings/", views.settings, name="settings"),
    path("settings/sessions/<slug:handle>/end/", views.session_end, name="session-end"),
    path("settings/password/", views.password, name="password"),
]
