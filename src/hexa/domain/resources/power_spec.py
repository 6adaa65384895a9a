"""`spec.power` of a Node: the ways to a machine's power and their settings. No secret stands in it, only the names of Secrets.

The same shape is read from the file that `hexa power --config` names, so that a machine can be tried before it is declared.
What its parts can do is judged in `hexa.domain.power.roles`.
"""

from typing import Annotated, Any, Final, Literal, get_args

from msgspec import Meta, field

from hexa.domain.resources.core import Slice
from hexa.domain.resources.values import Duration, int_or_string

Port = Annotated[int, Meta(ge=1, le=65535)]
Watts = Annotated[float, Meta(gt=0)]
Outlets = tuple[str, ...]
SNMP_PATTERN: Final = "^.+$"
SnmpValue = Annotated[int | str, int_or_string(minimum=-(2**31), pattern=SNMP_PATTERN, maxLength=255)]

DriverName = Literal["wakeOnLan", "ipmi", "redfish", "pdu", "http", "ssh", "script", "plugin"]
POWER_DRIVERS: Final[tuple[DriverName, ...]] = get_args(DriverName)

_OUTLETS = (
    "The machine's outlets: all are switched on, and all off. An outlet of another device with the same settings is "
    'written "ADDRESS/OUTLET".'
)
_ON_WATTS = (
    "The machine counts as on while its outlets draw more than this, for devices that measure. Without it an outlet "
    "that is on counts as a machine that is on."
)
_TOGGLE = (
    "What it does presses the machine's power button: the same request turns on what is off, and shuts down what is on. It is made "
    "only where a reading says the other state, never twice without a reading in between, and it cuts no power. Default false."
)


class Tls(Slice, frozen=True, kw_only=True):
    """How the other side's certificate is checked."""

    ca_secret_name: Annotated[
        str, Meta(description="Secret whose key ca.crt holds the certificates to trust. Default: the system's.")
    ] = ""
    server_name: Annotated[str, Meta(description="The name that the certificate must carry. Default: the address.")] = (
        ""
    )
    insecure_skip_verify: Annotated[
        bool, Meta(description="Take any certificate: whoever stands between can read the password.")
    ] = False


class WakeOnLan(Slice, frozen=True, kw_only=True):
    """Turns on by magic packets. Turns nothing off and reads nothing."""

    macs: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="MAC addresses of the machine's network cards; a packet is sent for each."),
    ]
    addresses: Annotated[
        tuple[str, ...],
        Meta(
            description="Where packets go: the broadcast address of a segment, or an address of the machine. "
            "Default: 255.255.255.255."
        ),
    ] = ()
    port: Annotated[Port, Meta(description="UDP port. Default 9.")] = 9
    interface: Annotated[
        str, Meta(description="Network interface that packets leave by. Default: as the routing table says.")
    ] = ""
    repeat: Annotated[
        Annotated[int, Meta(ge=1, le=100)], Meta(description="How many times each packet is sent. Default 3.")
    ] = 3
    secret_name: Annotated[
        str, Meta(description="Secret whose key password is a SecureOn password: six bytes in hexadecimal.")
    ] = ""


class Ipmi(Slice, frozen=True, kw_only=True):
    """A management controller (BMC) by IPMI 2.0 over LAN (RMCP+)."""

    address: Annotated[str, Meta(min_length=1, description="Name or address of the BMC.")]
    port: Annotated[Port, Meta(description="UDP port. Default 623.")] = 623
    secret_name: Annotated[
        str, Meta(description="Secret with the keys username and password (and key_g, if the BMC has one).")
    ]
    privilege: Annotated[
        Literal["user", "operator", "administrator"],
        Meta(description="Level that the session asks for; switching needs operator. Default operator."),
    ] = "operator"
    cipher_suite: Annotated[
        Literal["auto", "3", "17"],
        Meta(description="3 (SHA-1) or 17 (SHA-256), both with AES; auto tries 17 first. Default auto."),
    ] = "auto"


class Redfish(Slice, frozen=True, kw_only=True):
    """A management controller (BMC) by Redfish."""

    address: Annotated[
        str,
        Meta(
            min_length=1,
            description='Base URL of the BMC, such as "https://bmc-01.lan"; without a scheme https is meant.',
        ),
    ]
    system: Annotated[str, Meta(description="Id or path of the system. Default: the only one that there is.")] = ""
    secret_name: Annotated[str, Meta(description="Secret with the keys username and password.")] = ""
    login: Annotated[
        Literal["auto", "basic", "session"],
        Meta(
            description="How it logs in: basic with each request, session (closed after use), or auto: basic first, and a session "
            "where the BMC refuses that without asking for it. Default auto."
        ),
    ] = "auto"
    tls: Annotated[Tls, Meta(description="How the BMC's certificate is checked.")] = field(default_factory=Tls)


class SnmpOids(Slice, frozen=True, kw_only=True):
    """Where an outlet is found. {outlet} in an OID stands for its number; without it the number is appended."""

    state: Annotated[str, Meta(min_length=1, description="OID that is read.")]
    on_state: Annotated[SnmpValue, Meta(description="Its value for an outlet that is on, a number or a text.")]
    off_state: Annotated[SnmpValue, Meta(description="Its value for an outlet that is off, a number or a text.")]
    separator: Annotated[
        str,
        Meta(
            description='What parts the states where one text has those of all outlets, such as "," in "1,0,1,1"; outlets count '
            "from 1, and the OID is read as it is written. Default: a text is the state of one outlet."
        ),
    ] = ""
    control: Annotated[str, Meta(description="OID that is written. Default: the one that is read.")] = ""
    control_on: Annotated[str, Meta(description="OID that is written to turn on. Default: control.")] = ""
    control_off: Annotated[str, Meta(description="OID that is written to turn off. Default: control.")] = ""
    turn_on: Annotated[SnmpValue, Meta(description="What is written to turn on: a number, or a text that is none.")]
    turn_off: Annotated[SnmpValue, Meta(description="What is written to turn off: a number, or a text that is none.")]
    watts: Annotated[str, Meta(description="OID of the outlet's active power in watts, if it is measured.")] = ""


class Pdu(Slice, frozen=True, kw_only=True):
    """Outlets of a power distribution unit by SNMP. It can only cut power: off needs `hard`."""

    address: Annotated[str, Meta(min_length=1, description="Name or address of the PDU.")]
    port: Annotated[Port, Meta(description="UDP port. Default 161.")] = 161
    profile: Annotated[
        Literal["apc-masterswitch", "apc-rpdu", "apc-rpdu2", "eaton-managed", "raritan-px2"] | None,
        Meta(description="OIDs of a known family of PDUs; for others see oids."),
    ] = None
    oids: Annotated[SnmpOids | None, Meta(description="OIDs of a PDU that no profile fits.")] = None
    outlets: Annotated[Outlets, Meta(min_length=1, description=_OUTLETS)]
    version: Annotated[Literal["v1", "v2c", "v3"], Meta(description="Version of SNMP. Default v2c.")] = "v2c"
    secret_name: Annotated[
        str,
        Meta(
            description="Secret with the key community; for v3 the keys username, authPassword and privacyPassword "
            "(the last two where the user has them)."
        ),
    ]
    auth_protocol: Annotated[Literal["md5", "sha1"], Meta(description="Of the v3 user. Default sha1.")] = "sha1"
    privacy_protocol: Annotated[Literal["des", "aes"], Meta(description="Of the v3 user. Default aes.")] = "aes"
    on_watts: Annotated[Watts | None, Meta(description=_ON_WATTS)] = None
    toggle: Annotated[bool, Meta(description=_TOGGLE)] = False


class HttpRequest(Slice, frozen=True, kw_only=True):
    """One request of the generic device."""

    path: Annotated[str, Meta(description="Path below the address. {outlet} stands for the outlet.")]
    method: Annotated[Literal["GET", "POST", "PUT", "PATCH"], Meta(description="Default GET.")] = "GET"
    body: Annotated[str, Meta(description="Sent as it is; {outlet} stands for the outlet.")] = ""
    content_type: Annotated[str, Meta(description="Of the body. Default application/json.")] = "application/json"


class HttpStatus(HttpRequest, frozen=True, kw_only=True):
    """The request that reads the power, and how its answer is understood."""

    state: Annotated[
        str,
        Meta(description="Where in a JSON answer the state stands, such as relays.0.ison. Default: the whole text."),
    ] = ""
    on_pattern: Annotated[
        str, Meta(description="Regular expression that the state of an outlet that is on matches as a whole.")
    ] = "(?i)on|true|1"
    off_pattern: Annotated[str, Meta(description="The same for off. What matches neither is unknown.")] = (
        "(?i)off|false|0"
    )
    watts: Annotated[str, Meta(description="Where in a JSON answer the outlet's power in watts stands.")] = ""
    read_at: Annotated[
        str,
        Meta(
            description="Where in a JSON answer the time stands at which state and watts were read: seconds or milliseconds "
            "since 1970, or ISO 8601 with a zone. Default: they count as read now."
        ),
    ] = ""
    max_age: Annotated[
        Duration | None,
        Meta(description="A reading that is older than this by readAt is unknown. Default 2m."),
    ] = None


class HttpTemplate(Slice, frozen=True, kw_only=True):
    """The requests of a device that hexa has no profile for."""

    turn_on: Annotated[HttpRequest, Meta(description="Turns an outlet on.")]
    turn_off: Annotated[HttpRequest, Meta(description="Turns an outlet off.")]
    status: Annotated[HttpStatus | None, Meta(description="Reads an outlet. Default: nothing is read.")] = None


class Http(Slice, frozen=True, kw_only=True):
    """A smart plug or relay by HTTP. It can only cut power: off needs `hard`."""

    address: Annotated[
        str, Meta(min_length=1, description='Base URL, such as "http://plug-01.lan"; without a scheme http is meant.')
    ]
    device: Annotated[
        Literal["shelly", "tasmota", "template"],
        Meta(
            description="shelly (all generations, told apart by asking), tasmota, or template with requests of your own."
        ),
    ]
    outlets: Annotated[Outlets, Meta(description=_OUTLETS + " Default: the first.")] = ()
    template: Annotated[HttpTemplate | None, Meta(description="Requests for device template.")] = None
    secret_name: Annotated[
        str,
        Meta(description="Secret with the key password and, unless it is admin, username; or token, a bearer token."),
    ] = ""
    login: Annotated[
        Literal["header", "query"],
        Meta(
            description="How a Tasmota gets user and password: in a header, or in the URL, for firmware before 9.3 that takes "
            "nothing else; whoever logs URLs between hexa and the plug can read them there. Default header."
        ),
    ] = "header"
    on_pattern: Annotated[
        str,
        Meta(
            description="Regular expression that the state of an outlet that is on matches as a whole, for a Tasmota with "
            "words of its own (StateText). Default: on."
        ),
    ] = "(?i)on"
    off_pattern: Annotated[str, Meta(description="The same for off. Default: off.")] = "(?i)off"
    tls: Annotated[Tls, Meta(description="How the device's certificate is checked.")] = field(default_factory=Tls)
    on_watts: Annotated[Watts | None, Meta(description=_ON_WATTS)] = None
    toggle: Annotated[bool, Meta(description=_TOGGLE)] = False


class Ssh(Slice, frozen=True, kw_only=True):
    """Shuts down in order by SSH. Its reading is On or Unknown: silence is no proof of anything."""

    address: Annotated[str, Meta(min_length=1, description="Name or address of the machine.")]
    port: Annotated[Port, Meta(description="TCP port. Default 22.")] = 22
    user: Annotated[str, Meta(description="Account on the machine. Default root.")] = "root"
    secret_name: Annotated[
        str,
        Meta(
            description="Secret with the keys ssh-privatekey and known_hosts (lines of ssh-keyscan, or the public host key alone). "
            "Any other host key is refused."
        ),
    ]
    wake_interfaces: Annotated[
        tuple[str, ...],
        Meta(
            description="Network cards on the machine whose Wake-on-LAN flag (g) is set and read back first; one that does not "
            "keep it leaves the machine on."
        ),
    ] = ()
    command: Annotated[
        str,
        Meta(
            description="What shuts the machine down. Default: systemctl poweroff, or poweroff where there is no systemd."
        ),
    ] = ""
    sudo: Annotated[bool, Meta(description="Run it by sudo -n, for accounts other than root.")] = False
    forced_command: Annotated[
        bool,
        Meta(description="The key has a forced command on the machine, so none is sent: logging in is the request."),
    ] = False


class Script(Slice, frozen=True, kw_only=True):
    """An executable that does the rest: docs/power/script.md says how it is called and what its exit codes mean."""

    command: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="The executable and its first arguments; on, off, cut or status follows."),
    ]
    can: Annotated[
        tuple[Literal["on", "off", "cut", "status"], ...],
        Meta(description="What it knows to do. Default: on, off, status."),
    ] = ("on", "off", "status")
    secret_name: Annotated[str, Meta(description="Secret whose folder is named to it by HEXA_SECRET.")] = ""
    toggle: Annotated[bool, Meta(description=_TOGGLE)] = False


class Plugin(Slice, frozen=True, kw_only=True):
    """A driver that another package brings, by the entry point group hexa.power."""

    driver: Annotated[str, Meta(min_length=1, description="Name of the entry point.")]
    settings: Annotated[dict[str, Any], Meta(description="What it wants to know.")] = field(default_factory=dict)
    toggle: Annotated[bool, Meta(description=_TOGGLE)] = False


class PowerSpec(Slice, frozen=True, kw_only=True):
    """Ways to one machine's power. Where there are several, each does what it does best, unless a field names another."""

    wake_on_lan: Annotated[WakeOnLan | None, Meta(description="Magic packets.")] = None
    ipmi: Annotated[Ipmi | None, Meta(description="A BMC by IPMI.")] = None
    redfish: Annotated[Redfish | None, Meta(description="A BMC by Redfish.")] = None
    pdu: Annotated[Pdu | None, Meta(description="Outlets of a PDU by SNMP.")] = None
    http: Annotated[Http | None, Meta(description="A smart plug by HTTP.")] = None
    ssh: Annotated[Ssh | None, Meta(description="A shutdown by SSH.")] = None
    script: Annotated[Script | None, Meta(description="An executable.")] = None
    plugin: Annotated[Plugin | None, Meta(description="A driver of another package.")] = None
    turn_on: Annotated[DriverName | None, Meta(description="Which of them turns the machine on.")] = None
    turn_on_else: Annotated[
        DriverName | None,
        Meta(
            description="Which of them turns the machine on where the first one fails, or its reading does not show it."
        ),
    ] = None
    turn_off: Annotated[DriverName | None, Meta(description="Which of them turns it off.")] = None
    sense: Annotated[DriverName | None, Meta(description="Which of them reads its power.")] = None
    hard: Annotated[
        bool,
        Meta(description="Power may be cut where an orderly shutdown is not possible or not followed. Default false."),
    ] = False
    soft_timeout: Annotated[
        Duration | None,
        Meta(description="How long an orderly shutdown may take before power is cut (see hard). Default 2m."),
    ] = None
