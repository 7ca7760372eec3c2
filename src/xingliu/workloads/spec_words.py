"""Words people bring from other systems, and the keys that will come."""

LATER = frozenset(
    {
        "elastic",
        "engine",
        "ide",
        "image",
        "keep_failed",
        "max_cost",
        "model",
        "port",
        "ready",
        "replicas",
        "rollout",
        "stop_if_idle",
        "topology",
        "volumes",
    }
)
LATER_KINDS = ("service", "workspace")

_MEANT = {
    "name": "job_name jobname job-name title",
    "kind": "type",
    "version": "apiversion api_version schema_version",
    "project": "account namespace workspace team organization",
    "queue": "partition qos queue_name queuename resource_queue",
    "nodes": "num_nodes nnodes node_count num_workers parallelism mincount min_member minavailable ntasks instances",
    "resources.gpu": "accelerators gpu gpus num_gpus gpus_per_node gpus-per-node gres",
    "resources.cpu": "cpu cpus cores num_cpus cpus_per_task cpus-per-task",
    "resources.memory": "mem memory ram",
    "resources.shm": "shm shm_size",
    "resources": "resource requests limits",
    "python": "python_version interpreter",
    "workdir": "working_dir workingdir cwd chdir project_dir repo repos",
    "env": "envs environment env_vars environment_variables export",
    "secrets": "secret secret_env",
    "setup": "setup_commands init init_commands pre_run",
    "run": "command commands cmd script entrypoint args exec",
    "time_limit": "max_duration timeout time walltime max_time max_runtime active_deadline_seconds maximum_execution_time",
    "deadline": "due due_date finish_by complete_by",
    "priority": "nice priority_class priorityclass priorityclassname",
    "checkpoint": "checkpoints checkpointing",
    "checkpoint.path": "checkpoint_path checkpoint_dir",
    "checkpoint.grace": "grace grace_period terminationgraceperiodseconds termination_grace_period",
    "checkpoint.signal": "signal",
    "restart": "retry retries requeue job_recovery recovery restart_policy",
    "restart.max": "max_restarts max_retries backofflimit backoff_limit",
    "restart.on_events": "on_events on",
    "notify": "notifications mail mail_type callback webhook",
    "image": "image_id docker docker_image container container_image",
    "volumes": "file_mounts mounts volume volume_mounts storage_mounts data",
    "preemptible": "spot use_spot spot_policy preemptable",
    "topology": "placement switches podset_required_topology podset_preferred_topology",
    "array": "array_size array_spec indices",
    "max_parallel": "max_concurrent max_concurrency concurrency_limit array_limit",
    "not_before": "begin start_after earliest_start delay",
    "after": "dependency dependencies depends_on needs",
    "stop_if_idle": "autostop utilization_policy idle_duration inactivity_duration",
    "max_cost": "max_price max_hourly_cost",
    "schedule": "cron",
    "port": "ports",
    "replicas": "replica_policy scaling",
    "roles": "task_roles taskroles groups components",
    "stop_when": "completion success_policy successpolicy",
}
_RESOURCES_MEANT = {
    "gpu": "accelerators accelerator gpus num_gpus gpus_per_node nvidia.com/gpu",
    "cpu": "cpus cores num_cpus vcpus",
    "memory": "mem ram",
    "shm": "shm_size shared_memory",
}
_RESTART_MEANT = {"on_events": "on events when", "max": "max_restarts max_retries retries attempts count limit"}
_CHECKPOINT_MEANT = {
    "path": "dir directory folder location",
    "every": "interval frequency period",
    "grace": "grace_period timeout wait",
}
_NOTIFY_MEANT = {"url": "webhook endpoint uri href", "email": "mail to mail_user recipients", "events": "on on_events when"}


def _by_foreign_word(meant: dict[str, str]) -> dict[str, str]:
    return {word: ours for ours, words in meant.items() for word in words.split()}


ELSEWHERE = _by_foreign_word(_MEANT)
RESOURCES_ELSEWHERE = _by_foreign_word(_RESOURCES_MEANT)
RESTART_ELSEWHERE = _by_foreign_word(_RESTART_MEANT)
CHECKPOINT_ELSEWHERE = _by_foreign_word(_CHECKPOINT_MEANT)
NOTIFY_ELSEWHERE = _by_foreign_word(_NOTIFY_MEANT)
