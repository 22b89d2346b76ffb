"""An authority of one's own, and the certificates that it signs.

EC keys on the curve P-256, which every TLS library of the last ten years has, and which a
small board signs with in a millisecond. The extensions are those that OpenSSL's strict
checks (`X509_V_FLAG_X509_STRICT`, the default of Python 3.13) ask for.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lockd.errors import InstallError

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 825
"""As long as phones and browsers accept a certificate of one's own authority."""
# A board without a clock of its own may start in the past.
_EARLIER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


def make_authority(name: str, now: datetime) -> Issued:
    """Make an authority that may sign certificates, but no further authorities.

    Args:
        now: aware.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named(name)
    builder = _unsigned(subject, subject, key.public_key(), now, AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return Issued(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def issue_broker(authority: Issued, hosts: Sequence[str], now: datetime) -> Issued:
    """Sign a broker's certificate.

    Args:
        hosts: the names and addresses that clients call the broker by; the first is its name.
        now: aware.
    """
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    return _issue(authority, hosts[0], ExtendedKeyUsageOID.SERVER_AUTH, names, now)


def issue_client(authority: Issued, name: str, now: datetime) -> Issued:
    """Sign a client's certificate, whose common name is the user's."""
    names = x509.SubjectAlternativeName([x509.DNSName(name)]) if name.isascii() else None
    return _issue(authority, name, ExtendedKeyUsageOID.CLIENT_AUTH, names, now)


def expiry(pem: bytes) -> datetime:
    """Return until when a certificate counts, in UTC.

    Raises:
        ValueError: if it is none.
    """
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc


def hosts_of(pem: bytes) -> list[str]:
    """Return the names and addresses that a broker's certificate is for."""
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


def _issue(
    authority: Issued,
    name: str,
    purpose: x509.ObjectIdentifier,
    names: x509.SubjectAlternativeName | None,
    now: datetime,
) -> Issued:
    signer = x509.load_pem_x509_certificate(authority.certificate)
    signing_key = serialization.load_pem_private_key(authority.key, None)
    if not isinstance(signing_key, ec.EllipticCurvePrivateKey):
        raise InstallError("the authority's key is not one on an elliptic curve")
    key = ec.generate_private_key(ec.SECP256R1())
    days = min(CERTIFICATE_DAYS, (signer.not_valid_after_utc - now).days)
    builder = _unsigned(_named(name), signer.subject, key.public_key(), now, days)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key())
    builder = builder.add_extension(above, critical=False)
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return Issued(_pem(builder.sign(signing_key, hashes.SHA256())), _key_pem(key))


def _unsigned(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
