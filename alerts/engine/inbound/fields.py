"""What senders call the fields of an alert, without case and punctuation, the most telling first."""

from collections.abc import Mapping


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NAMES = _listed("""
alertname alarmname alertrulename alertrule rulename monitorname monitorfriendlyname checkname conditionname
triggername problemtitle alerttitle eventtitle incidenttitle incidentname issuetitle eventdefinitiontitle messagetitle
searchname savedsearchname detectorname watchname alertdefinitionname definitionname healthrulename policyname
ruletitle rule detector alarm monitor check name title alertsummary summary subject headline heading shortdescription
issue problem incident shortmessage servicedesc servicedescription servicedisplayname eventname message msg text
messagebody alertmessage reason description details detail body output alerttype eventtype event displayname service
servicename hostname host resource type
""")
# What stands right below one of these is theirs: `rule.name` is a rule's name, `user.name` nobody's business.
NAMED = frozenset(
    _listed("""
alert alarm rule alertrule checkrule checkrules monitor check condition trigger problem incident issue detector policy
search event watch
""")
)
NAME_PARTS = frozenset(("name", "title", "summary", "displayname", "description", "friendlyname"))
# Of these, names and states belong to somebody else.
ASIDE = frozenset(
    _listed("""
user users browser os clientos contexts context request headers geo links actor sender creator createdby author
assignee assignees assignedto responders respondents owner owners team teams escalationpolicy snapshots organization
org account repository integration connection fields tags labels annotations customfields customdetails previous
previousattributes lastchange builder thresholds stacktrace breadcrumbs modules sdk apilinks faults evaluator reducer
operator query roles priority severity channels contacts recipients permissions customer policy commonlabels
grouplabels matchedevent matches entity
""")
)
STATUSES = _listed("""
eventaction alertaction action alertstatus alertstate alerttransition transition incidentstatus incidentstate
issuestate monitorstate monitorstatus checkstate checkstatus currentstate currentstatus newstate newstatevalue
newstatus tostate statevalue monitorcondition problemstate problemstatus servicestate hoststate servicestatus
triggerstatus eventstatus eventstate notificationtype triggertype alerttype actiongroup state status lifecycle
statusname conclusion result outcome eventtype notification alerttypefriendlyname event webhookevent trigger
statusextended type kind eventname condition
""")
TRUE_IS_FIRING = frozenset(
    _listed("""
active isactive firing isfiring alerting triggered istriggered isalert alarm isopen open eventvalue triggervalue
failing isdown down
""")
)
TRUE_IS_OVER = frozenset(
    _listed("""
resolved isresolved recovered isrecovered cleared closed isclosed up isup healthy ishealthy passed success
""")
)
SEVERITIES = _listed("""
severity alertseverity sev severitylevel eventseverity incidentseverity problemseverity monitorseverity
triggerseverity severityname severitytext severitylabel priority alertpriority incidentpriority prio priorityname
level alertlevel loglevel levelname criticality alertcriticality urgency importance importancelevel impact
alarmseverity errorlevel threatlevel risk risklevel
""")
SEVERITY_PARTS = frozenset(
    _listed("""
name label value slug level displayname summary text
""")
)
KEYS = _listed("""
dedupkey deduplicationkey dedupid fingerprint aggregkey aggregationkey incidentkey groupkey alertuid
alertuniqueidentifier alertinstanceid incidentid incidentuuid issueid problemid pid correlationid
""")
STARTED = _listed("""
startsat startedat starttime startedtime startdate datestart datestartzoned firedat fireddatetime firedtime
triggeredat triggertime activatedat activetime openedat createdat createtime created detectedat occurredat occurat
occuredat statechangetime statetransitiontime eventtime incidenttime alerttime alertdate timestamp time datetime date
eventdate longdatetime timestampms start begin at ts epoch
""")
ENDED = _listed("""
endsat endedat endtime enddate dateend dateendzoned resolvedat resolveddatetime resolvedtime resolvedate closedat
closedtime recoveredat recoverytime clearedat cleartime end
""")
URLS = _listed("""
alerturl incidenturl problemurl issueurl htmlurl permalink detectorurl ruleurl monitorurl eventurl checkurl link url
weburl externalurl generatorurl dashboardurl resultslink alertlink eventlink detailsurl href self
""")
TEXTS = _listed("""
description alarmdescription alertdescription message msg summary text messagebody reason output longoutput details
alertmessage body errormessage
""")
RUNBOOKS = ("runbookurl", "runbook")
VALUES = frozenset(["value", "currentvalue", "observedvalue", "metricvalue", "actualvalue"])
# Maps whose members are labels, whatever they are called.
LABEL_MAPS = frozenset(
    _listed("""
labels commonlabels grouplabels tags tag dimensions resourcelabels userlabels systemlabels policyuserlabels
metriclabels metalabels customproperties outputfields targetlabels groupby groupbyfields scope metadata metaattributes
extra
""")
)
# Fields that say where the trouble is, and what the label is called.
PLACES: Mapping[str, str] = {
    **{name: name for name in _listed("""
instance node zone job site source category database queue subsystem product module logger platform os stage tenant
datacenter workload deployment what culprit scope model branch ref customer probe origin facility dataset organization
""")},
    **dict.fromkeys(_listed("""
host hostname hostdisplayname sysname nodename machine computer server servername
"""), "host"),
    **dict.fromkeys(("service", "servicename", "servicedesc", "servicedescription",), "service"),
    **dict.fromkeys(("environment", "env",), "environment"),
    **dict.fromkeys(("application", "app", "applicationname", "appname",), "application"),
    **dict.fromkeys(("project", "projectname", "scopingprojectid",), "project"),
    **dict.fromkeys(("address", "ip", "ipaddress", "hostaddress",), "address"),
    **dict.fromkeys(("metric", "metricname", "originatingmetric",), "metric"),
    **dict.fromkeys(("checktype",), "check_type"),
    **dict.fromkeys(("region", "regionname",), "region"),
    **dict.fromkeys(("cluster", "clustername",), "cluster"),
    **dict.fromkeys(("namespace", "namespacename",), "namespace"),
    **dict.fromkeys(("pod", "podname",), "pod"),
    **dict.fromkeys(("container", "containername",), "container"),
    **dict.fromkeys(("team", "teamname",), "team"),
    **dict.fromkeys(("component", "componentname",), "component"),
    **dict.fromkeys(("device", "devicename",), "device"),
    **dict.fromkeys(("group", "groupname", "checkgroup", "monitorgroup",), "group"),
    **dict.fromkeys(("location", "runlocation",), "location"),
    **dict.fromkeys(("agent", "agentname",), "agent"),
    **dict.fromkeys(("entity", "impactedentity", "entityname",), "entity"),
    **dict.fromkeys(("account", "accountname", "awsaccountid",), "account"),
    **dict.fromkeys(("projectslug",), "project_slug"),
    **dict.fromkeys(("monitorid",), "monitor_id"),
    **dict.fromkeys(("checkid",), "check_id"),
    **dict.fromkeys(("resourcename", "resourceid", "resourcedisplayname",), "resource"),
    **dict.fromkeys(("resourcetype",), "resource_type"),
    **dict.fromkeys(("testname",), "test"),
    **dict.fromkeys(("displayname",), "display"),
    **dict.fromkeys(("username",), "user"),
    **dict.fromkeys(("eventdefinitiontype",), "definition_type"),
    **dict.fromkeys(("targetname", "target", "monitorurl", "checkurl", "websiteurl",), "target"),
    **dict.fromkeys(("monitortype",), "monitor_type"),
}  # fmt: skip
# Whose name is a place's, not the alert's.
PLACE_PARENTS = frozenset(PLACES) | frozenset(
    ("manager", "involvedobject", "object", "metadata", "alertsource", "page", "target", "targets")
)
# Labels of the sender that move while the trouble stays the same.
MOVING = frozenset(
    _listed("""
severity severityoriginal status state priority level value currentvalue timestamp time eventid requestid sendresolved
alertstate
""")
)
