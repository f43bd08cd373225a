"""Mail: what a rule says arrives at a real SMTP server, in spite of its absence."""

import email
import email.policy
import pathlib
import ssl
import subprocess
import time

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from conftest import free_port, wait_for
from test_alerting import PAGE_SECONDS_MAX, QUIET_SECONDS, RULES, set_temperature

PASSWORD = "corréct-horse"


class MailServer:
    """An SMTP server with STARTTLS and AUTH, which can be down or refuse."""

    def __init__(self, folder: pathlib.Path):
        self.port = free_port()
        self.mails: list[email.message.EmailMessage] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.logins: list[tuple[str, bytes, bytes]] = []
        self.refused_recipients: dict[str, str] = {}
        self.answer = "250 queued"
        self.cert = folder / "cert.pem"
        self.key = folder / "key.pem"
        self._controller: Controller | None = None
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", str(self.key), "-out", str(self.cert)], check=True, capture_output=True)

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refused_recipients:
            return self.refused_recipients[address]
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server, session, envelope):
        if self.answer.startswith("250"):
            self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
            self.mails.append(email.message_from_bytes(envelope.original_content, policy=email.policy.default))
        return self.answer

    def _login(self, server, session, envelope, mechanism, auth_data):
        if isinstance(auth_data, LoginPassword):
            self.logins.append((mechanism, auth_data.login, auth_data.password))
            good = auth_data.login == b"petrel" and auth_data.password == PASSWORD.encode()
            return AuthResult(success=good, handled=False)
        return AuthResult(success=False, handled=False)

    def up(self, tls: str = "starttls", auth: bool = True, **options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        if tls == "starttls":
            options |= {"tls_context": context, "require_starttls": True}
        if tls == "implicit":
            options |= {"ssl_context": context}
        if auth:
            options |= {"authenticator": self._login, "auth_required": True, "auth_require_tls": tls == "starttls"}
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **options)
        self._controller.start()
        return self

    def down(self):
        if self._controller:
            self._controller.stop()
            self._controller = None


@pytest.fixture
def mail_server(tmp_path):
    server = MailServer(tmp_path)
    yield server
    server.down()


def configuration(server: MailServer, extra: str = "", password: str = PASSWORD, top: str = "") -> str:
    return f"""\
global:
  smtp_smarthost: localhost:{server.port}
  smtp_from: Pétrel <petrel@example.org>
  smtp_auth_username: petrel
  smtp_auth_password: {password}
  smtp_hello: monitor.example.org
  smtp_tls_config: {{ca_file: {server.cert}}}
{top}route:
  receiver: ops
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
receivers:
- name: ops
  email_configs:
  - to: Operations <ops@example.org>, second@example.org
    send_resolved: true
{extra}"""


def start_with_mail(petrel, folder: pathlib.Path, config: str, rules: str = RULES):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.yml").write_text(rules)
    (folder / "am.yml").write_text(config)
    return petrel("--rules.file=rules.yml", "--alertmanager.config.file=am.yml", "--no-collector.host",
                  "--no-rules.default", folder=folder)


def body(mail: email.message.EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None, f"no {kind} in {mail}"
    return part.get_content()


def metric(server, name: str, **labels) -> float:
    total = 0.0
    for line in server.call("/metrics").text.splitlines():
        if line.startswith(name + "{") and all(f'{key}="{value}"' in line for key, value in labels.items()):
            total += float(line.rsplit(" ", 1)[1])
    return total


def test_a_firing_rule_sends_a_mail_over_starttls_with_a_login_and_then_its_end(petrel, mail_server, tmp_path):
    mail_server.up()
    server = start_with_mail(petrel, tmp_path / "petrel", configuration(mail_server))
    set_temperature(server, 95, "Küche <1>")
    wait_for(lambda: mail_server.mails, PAGE_SECONDS_MAX, "the mail")
    mail = mail_server.mails[0]
    assert mail_server.envelopes[0] == ("petrel@example.org", ["ops@example.org", "second@example.org"])
    assert mail_server.logins[0][1:] == (b"petrel", PASSWORD.encode())
    assert mail["From"] == "Pétrel <petrel@example.org>"
    assert mail["To"] == "Operations <ops@example.org>, second@example.org"
    assert mail["Subject"] == "[FIRING:1] TooHot (Küche <1> critical)"
    assert mail["Date"] and mail["Message-Id"].endswith("@example.org>") and mail["MIME-Version"] == "1.0"
    assert mail.get_content_type() == "multipart/alternative"
    html = body(mail, "html")
    assert "Küche &lt;1&gt; is at 95" in html and "<1>" not in html and "[1] Firing" in html
    assert "room = Küche <1>" in body(mail, "plain")

    set_temperature(server, 20, "Küche <1>")
    wait_for(lambda: len(mail_server.mails) == 2, PAGE_SECONDS_MAX, "the mail about the end")
    end = mail_server.mails[1]
    assert end["Subject"] == "[RESOLVED] TooHot (Küche <1> critical)"
    assert end["Message-Id"] != mail["Message-Id"]
    assert "[1] Resolved" in body(end, "html")
    time.sleep(QUIET_SECONDS)
    assert len(mail_server.mails) == 2


def test_a_mail_server_that_is_away_gets_the_mail_when_it_is_back(petrel, mail_server, tmp_path):
    server = start_with_mail(petrel, tmp_path / "petrel", configuration(mail_server))
    set_temperature(server, 95)
    wait_for(lambda: metric(server, "petrel_notifications_failed_total", integration="email") >= 2,
             PAGE_SECONDS_MAX, "two attempts")
    server.kill()
    mail_server.answer = "451 not now"
    mail_server.up()
    server.start()
    wait_for(lambda: metric(server, "petrel_notifications_failed_total", integration="email") >= 1,
             PAGE_SECONDS_MAX, "a deferred mail")
    assert mail_server.mails == []
    mail_server.answer = "250 queued"
    wait_for(lambda: mail_server.mails, PAGE_SECONDS_MAX, "the mail")
    time.sleep(QUIET_SECONDS)
    assert [mail["Subject"] for mail in mail_server.mails] == ["[FIRING:1] TooHot (server room critical)"]


def test_a_wrong_password_is_told_and_not_shown_and_a_mended_one_is_used(petrel, mail_server, tmp_path):
    mail_server.up()
    folder = tmp_path / "petrel"
    folder.mkdir()
    secret = folder / "password"
    secret.write_text("hunter2secret\n")
    config = configuration(mail_server).replace(f"smtp_auth_password: {PASSWORD}", "smtp_auth_password_file: password")
    server = start_with_mail(petrel, folder, config)
    set_temperature(server, 95)
    wait_for(lambda: metric(server, "petrel_notifications_failed_total", integration="email", reason="auth") >= 1,
             PAGE_SECONDS_MAX, "the failed login")
    wait_for(lambda: "AUTH: 535" in server.log(), 5, "the log line")
    secret.write_text(PASSWORD + "\n")
    wait_for(lambda: mail_server.mails, PAGE_SECONDS_MAX * 2, "the mail")
    assert "hunter2secret" not in server.log() and PASSWORD not in server.log()
    assert "hunter2secret" not in server.call("/metrics").text


def test_a_server_without_starttls_gets_no_mail_unless_it_is_allowed(petrel, mail_server, tmp_path):
    mail_server.up(tls="none", auth=False)
    config = configuration(mail_server).replace("  smtp_auth_username: petrel\n", "")
    server = start_with_mail(petrel, tmp_path / "petrel", config)
    set_temperature(server, 95)
    wait_for(lambda: metric(server, "petrel_notifications_failed_total", integration="email", reason="tls") >= 1,
             PAGE_SECONDS_MAX, "the refusal")
    assert mail_server.mails == [] and "STARTTLS" in server.log()
    (tmp_path / "petrel/am.yml").write_text(config.replace("global:\n", "global:\n  smtp_require_tls: false\n"))
    assert server.call("/-/reload", method="POST", data=b"").status == 200
    wait_for(lambda: mail_server.mails, PAGE_SECONDS_MAX * 2, "the mail")


def test_an_unknown_certificate_gets_no_mail(petrel, mail_server, tmp_path):
    mail_server.up()
    config = configuration(mail_server).replace(f"  smtp_tls_config: {{ca_file: {mail_server.cert}}}\n", "")
    server = start_with_mail(petrel, tmp_path / "petrel", config)
    set_temperature(server, 95)
    wait_for(lambda: metric(server, "petrel_notifications_failed_total", integration="email", reason="tls") >= 1,
             PAGE_SECONDS_MAX, "the refusal")
    assert mail_server.logins == [] and mail_server.mails == []


def test_tls_from_the_first_byte_headers_threads_and_templates_of_files(petrel, mail_server, tmp_path):
    mail_server.up(tls="implicit", auth=False)
    folder = tmp_path / "petrel"
    (folder / "templates").mkdir(parents=True)
    (folder / "templates/mine.tmpl").write_text(
        '{{ define "mine.text" }}{{ range .Alerts }}{{ .Labels.room }} since '
        '{{ .StartsAt.Format "2006-01-02" }}{{ end }}{{ end }}')
    config = configuration(mail_server, top="templates: ['templates/*.tmpl']\n", extra="""\
    force_implicit_tls: true
    headers:
      subject: 'ALARM {{ .GroupLabels.alertname }} {{ .Alerts.Firing | len }}'
      X-Room: '{{ (index .Alerts 0).Labels.room }}'
    html: ''
    text: '{{ template "mine.text" . }}'
    threading: {enabled: true, thread_by_date: none}
""").replace("  smtp_auth_username: petrel\n", "")
    server = start_with_mail(petrel, folder, config)
    set_temperature(server, 95)
    wait_for(lambda: mail_server.mails, PAGE_SECONDS_MAX, "the mail")
    set_temperature(server, 20)
    wait_for(lambda: len(mail_server.mails) == 2, PAGE_SECONDS_MAX, "the mail about the end")
    first, second = mail_server.mails
    assert first["Subject"] == "ALARM TooHot 1" and second["Subject"] == "ALARM TooHot 0"
    assert first["X-Room"] == "server room"
    assert first["References"] == second["References"] and first["References"]
    assert body(first, "plain").strip() == time.strftime("server room since %Y-%m-%d", time.gmtime())
    assert first.get_body(("html",)) is None


def test_a_recipient_that_is_gone_does_not_keep_the_mail_from_the_others(petrel, mail_server, tmp_path):
    mail_server.refused_recipients["ops@example.org"] = "550 no such user"
    mail_server.up()
    server = start_with_mail(petrel, tmp_path / "petrel", configuration(mail_server))
    set_temperature(server, 95)
    wait_for(lambda: mail_server.mails, PAGE_SECONDS_MAX, "the mail")
    assert mail_server.envelopes == [("petrel@example.org", ["second@example.org"])]
    wait_for(lambda: "ops@example.org: 550 no such user" in server.log(), 5, "the log line")


ROUTES = """\
route:
  receiver: everything
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  routes:
  - matchers: ['room=~"attic|cellar"']
    receiver: house
    continue: true
  - match: {room: cellar}
    receiver: deep
receivers:
- name: everything
  webhook_configs: [{url: 'WEBHOOK/everything'}]
- name: house
  webhook_configs:
  - url: WEBHOOK/house
    http_config:
      basic_auth: {username: u, password: p}
      http_headers: {X-Tenant: {values: [t]}}
- name: deep
  webhook_configs: [{url: 'WEBHOOK/deep'}]
"""


def test_alerts_go_the_way_that_the_routes_say(petrel, webhook, tmp_path):
    webhook.up()
    config = ROUTES.replace("WEBHOOK", webhook.url)
    server = start_with_mail(petrel, tmp_path / "petrel", config)
    for room in ("attic", "cellar", "kitchen"):
        set_temperature(server, 95, room)

    def heard() -> dict[str, set[str]]:
        rooms: dict[str, set[str]] = {}
        for request in webhook.accepted:
            for alert in request["body"]["alerts"]:
                rooms.setdefault(request["body"]["receiver"], set()).add(alert["labels"]["room"])
        return rooms

    wanted = {"everything": {"kitchen"}, "house": {"attic", "cellar"}, "deep": {"cellar"}}
    wait_for(lambda: heard() == wanted, PAGE_SECONDS_MAX, "three receivers")
    by_receiver = {request["body"]["receiver"]: request for request in webhook.accepted}
    assert by_receiver["house"]["headers"]["Authorization"] == "Basic dTpw"
    assert by_receiver["house"]["headers"]["X-Tenant"] == "t"
    assert by_receiver["house"]["body"]["groupKey"] == '{}/{room=~"attic|cellar"}:{alertname="TooHot"}'

    # Other matchers, same receivers: nothing that was told is told again.
    before = len(webhook.accepted)
    (tmp_path / "petrel/am.yml").write_text(config.replace("attic|cellar", "attic|cellar|roof"))
    assert server.call("/-/reload", method="POST", data=b"").status == 200
    time.sleep(QUIET_SECONDS)
    assert len(webhook.accepted) == before
    set_temperature(server, 20, "attic")
    wait_for(lambda: [alert["labels"]["room"] for alert in webhook.alerts("resolved")] == ["attic"],
             PAGE_SECONDS_MAX, "one resolve")
    assert webhook.accepted[-1]["body"]["groupKey"] == '{}/{room=~"attic|cellar"}:{alertname="TooHot"}'
