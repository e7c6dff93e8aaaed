"""Names that something outside of Python reads or calls: vulture counts them as used. Remove what is gone."""

# Fields of the Messages API: their types and limits are checked, their values are not needed (app/anthropic).
_.ServerTool
_.allowed_callers
_.authorization_token
_.betas
_.billing_policy
_.block_binding
_.city
_.clear_at
_.clear_at_least
_.clear_tool_inputs
_.configs
_.container
_.context_management
_.country
_.diagnostics
_.display_number
_.eager_input_streaming
_.edits
_.exclude_tools
_.fallback_credit_token
_.fallbacks
_.file_id
_.inference_geo
_.instructions
_.max_characters
_.max_content_tokens
_.max_uses
_.mcp_server_name
_.mcp_servers
_.oversized_image
_.pause_after_compaction
_.prefix_mismatch_behavior
_.previous_message_id
_.remaining
_.response_inclusion
_.server_name
_.service_tier
_.skill_id
_.skills
_.speed
_.task_budget
_.timezone
_.toolset_name
_.top_k
_.top_p
_.transformations
_.trigger
_.url_sources
_.use_cache
_.user_location

# A field of a Kiro event (app/kiro/events.py).
_.unit

# Variables that only gunicorn.conf.py reads, or that are checked at the start and have no reader yet (config.py).
_.admin_username
_.jwt_expiry_hours
_.web_concurrency

# Columns: what the database keeps for its readers outside (app/storage/tables.py and the values made from them).
_.api_key_id
_.last_used_at
_.max_concurrent
_.success_count
_.updated_at
_.usage_at
_.usage_limit

# Classes of the error tree for limits and permissions of keys (app/errors.py).
_.KeyLimitReached
_.PermissionDenied

# Called or read by gunicorn, gunicorn.conf.py and sqlite3.
_.GatewayWorker
_.handle_quit
_.isolation_level

# Called by awscrt (tests/contract).
_.message_type
_.on_connection_setup
_.on_connection_shutdown
_.on_protocol_message

# What the stand-in's control interface shows (simulator/recording.py, simulator/script.py).
_.answered_at
_.client_gone_at
_.ended_at
_.scripted
_.sent_bytes

# The database layer calls these (sqlalchemy's TypeDecorator).
_.impl
_.cache_ok
_.process_bind_param

# requests calls these of its adapter (app/upstream/http.py).
_.build_connection_pool_key_attributes
_.cert_verify

# urllib3 reads it when the answer is closed (app/upstream/body.py).
_._connection
