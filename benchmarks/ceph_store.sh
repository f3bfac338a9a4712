#!/usr/bin/env bash
# An S3 server that costs little CPU, for benchmarks.remote: Ceph's radosgw over one OSD in memory, on this host alone.
#   apt-get install radosgw ceph-mon ceph-osd      # Debian's packages; nothing else in Tarn needs them
#   bash benchmarks/ceph_store.sh start FOLDER     # prints what to put into the environment
#   eval "$(bash benchmarks/ceph_store.sh start FOLDER)" && python -m benchmarks.remote path/to/packed s3://bench/1k
#   bash benchmarks/ceph_store.sh stop FOLDER
set -euo pipefail
command=${1:?start or stop} folder=$(realpath -m "${2:?a folder for its files}") port=${PORT:-17480} monitor=${MONITOR:-16789}

stop() {
  for file in "$folder"/*.pid; do
    [ -e "$file" ] && kill "$(cat "$file")" 2>/dev/null
  done
  rm -rf "$folder"
}

start() {
  stop || true
  mkdir -p "$folder"/{mon,osd,rgw}
  local id conf=$folder/ceph.conf
  id=$(cat /proc/sys/kernel/random/uuid)
  cat > "$conf" <<CONF
[global]
fsid = $id
mon host = v1:127.0.0.1:$monitor
mon_initial_members = a
public_addr = 127.0.0.1
ms_bind_msgr2 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_crush_chooseleaf_type = 0
osd_crush_update_on_start = false
osd_class_update_on_start = false
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
osd_objectstore = memstore
memstore_device_bytes = 4294967296
osd_max_object_name_len = 256
osd_data = $folder/osd
mon_data = $folder/mon
log_file = $folder/\$name.log
admin_socket = $folder/\$name.asok
pid_file = $folder/\$name.pid
run_dir = $folder
[client.rgw]
rgw_frontends = beast port=$port
rgw_data = $folder/rgw
debug_rgw = 0/0
debug_ms = 0/0
CONF
  monmaptool --create --fsid "$id" --addv a "v1:127.0.0.1:$monitor" "$folder/monmap"
  ceph-mon --mkfs -i a --monmap "$folder/monmap" -c "$conf"
  ceph-mon -i a -c "$conf"
  ceph -c "$conf" osd create
  ceph -c "$conf" osd crush add osd.0 1.0 root=default host=localhost
  ceph-osd -i 0 --mkfs -c "$conf"
  ceph-osd -i 0 -c "$conf"
  radosgw -n client.rgw -c "$conf"
  for _ in $(seq 60); do
    curl -s -o /dev/null "http://127.0.0.1:$port/" && break
    sleep 1
  done
  radosgw-admin -c "$conf" user create --uid=bench --display-name=bench --access-key=bench --secret=benchsecret
}

case $command in
  start)
    start >&2
    echo "export AWS_ENDPOINT_URL=http://127.0.0.1:$port AWS_ACCESS_KEY_ID=bench AWS_SECRET_ACCESS_KEY=benchsecret AWS_REGION=us-east-1 AWS_ALLOW_HTTP=true"
    ;;
  stop) stop ;;
  *) echo "start or stop, not $command" >&2; exit 2 ;;
esac
