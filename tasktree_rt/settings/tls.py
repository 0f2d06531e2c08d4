"""The section `tls`: the certificate of the hub's own listeners, and the certificates of its clients."""

from __future__ import annotations

from attrs import field, frozen

from tasktree_rt.settings.checks import UnfitSetting, a_path, one_of, seconds, whole


@frozen
class Tls:
    """Encryption of the hub's listeners. Without a certificate it is off."""

    certfile: str = field(default="", validator=a_path)
    """Path of a PEM file with the hub's certificate and those that lead to its root. Empty: no TLS."""
    keyfile: str = field(default="", validator=a_path)
    """Path of a PEM file with the certificate's private key; empty: it is in `certfile`."""
    keyfile_password_file: str = field(default="", validator=a_path)
    """Path of a file whose first line is the password of the private key; empty: the key has none."""
    client_ca: str = field(default="", validator=a_path)
    """Path of a PEM file with the authorities whose clients may connect (mutual TLS). Empty: the hub asks for
    no client certificate."""
    client_auth: str = field(default="required", validator=one_of("required", "optional"))
    """Whether a client must have a certificate of `client_ca`, or may connect without one."""
    reload_interval: float = seconds(10.0, zero=True)
    """Seconds between two looks at the files; when one has changed, the hub reloads all. 0: only SIGHUP
    reloads."""
    hsts_max_age: int = field(default=0, validator=whole(0))
    """Seconds for which browsers must use HTTPS for this host name, at every port
    (``Strict-Transport-Security``). 0: the hub sends no such header."""

    @property
    def on(self) -> bool:
        """Whether the listeners speak TLS."""
        return bool(self.certfile)

    def __attrs_post_init__(self) -> None:
        """Check the rules between fields."""
        given = [name for name in ("keyfile", "keyfile_password_file", "client_ca") if getattr(self, name)]
        if given and not self.on:
            fields = (f"tls.{given[0]}", "tls.certfile")
            raise UnfitSetting(fields, "expected a certificate too: set tls.certfile (--certfile)")
