rebuild () 
{ 
    pgc $1 -m immediate -w stop > /dev/null;
    rm -rf $PW_PG_DIR/$1.old;
    mv $PW_PG_DIR/$1 $PW_PG_DIR/$1.old;
    runuser -u pgweir -- env PGPASSWORD=$PW_PG_PASSWORD $PW_PG_BIN/pg_basebackup -D $PW_PG_DIR/$1 -h 127.0.0.1 -p $3 -U postgres -c fast -X stream;
    runuser -u pgweir -- bash -c "sed -i 's/^port = .*/port = $2/; s/cluster_name.*/cluster_name = pgcluster_$1/; /^primary_/d' $PW_PG_DIR/$1/pgcluster.conf; echo > $PW_PG_DIR/$1/postgresql.auto.conf;  echo \"primary_conninfo = 'host=127.0.0.1 port=$3 user=pgcluster_replication passfile=$PW_PG_DIR/pgpass application_name=$1'\" >> $PW_PG_DIR/$1/pgcluster.conf; touch $PW_PG_DIR/$1/standby.signal";
    pgc $1 -w start -l $PW_PG_DIR/log/$1.log | tail -1
}
