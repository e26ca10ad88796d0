//! Lines in the forms that the documents of official images have: `run --dry-run` takes each of them and prints a plan.

use crate::common::Sandbox;

/// One line for each form; `$PWD` is a directory that is there.
const LINES: &str = r#"
docker run --name some-postgres -e POSTGRES_PASSWORD=mysecretpassword -d postgres
docker run -it --rm postgres psql -h some-postgres -U postgres
docker run -d --name some-postgres -e POSTGRES_PASSWORD=x -e PGDATA=/var/lib/postgresql/data/pgdata -v /custom/mount:/var/lib/postgresql/data postgres
docker run -d --shm-size=256m --name some-postgres -v "$PWD/my-postgres.conf":/etc/postgresql/postgresql.conf -e POSTGRES_PASSWORD=x postgres -c 'config_file=/etc/postgresql/postgresql.conf'
docker run -it --rm --user "$(id -u):$(id -g)" -e POSTGRES_PASSWORD=x postgres
docker run --name some-redis -d redis
docker run --name some-redis -d redis redis-server --save 60 1 --loglevel warning
docker run -v /myredis/conf:/usr/local/etc/redis --name myredis redis redis-server /usr/local/etc/redis/redis.conf
docker run --name some-nginx -v /some/content:/usr/share/nginx/html:ro -d nginx
docker run --name some-nginx -d -p 8080:80 some-content-nginx
docker run --name my-custom-nginx-container -v /host/path/nginx.conf:/etc/nginx/nginx.conf:ro -d nginx
docker run -d -p 80:80 --read-only -v $(pwd)/nginx-cache:/var/cache/nginx -v $(pwd)/nginx-pid:/var/run nginx
docker run --name mynginx -P -d nginx
docker run --name some-mysql -e MYSQL_ROOT_PASSWORD=my-secret-pw -d mysql:8.0
docker run --name some-mysql -v /my/custom:/etc/mysql/conf.d -e MYSQL_ROOT_PASSWORD=my-secret-pw -d mysql:latest --character-set-server=utf8mb4 --collation-server=utf8mb4_unicode_ci
docker run -it --rm mysql mysql -hsome.mysql.host -usome-mysql-user -p
docker run --name some-mariadb --env MARIADB_USER=example-user --env MARIADB_PASSWORD=my_cool_secret --env MARIADB_DATABASE=exmple-database --env MARIADB_ROOT_PASSWORD=my-secret-pw -d mariadb:latest
docker run --detach --name some-mariadb --cap-add=sys_nice -p 3306:3306 mariadb:latest
docker run --name some-mongo -d mongo:7
docker run -d --name some-mongo -e MONGO_INITDB_ROOT_USERNAME=mongoadmin -e MONGO_INITDB_ROOT_PASSWORD=secret mongo --wiredTigerCacheSizeGB 1.5
docker run --name some-wordpress -p 8080:80 -d wordpress
docker run --name some-wordpress --link some-mysql:mysql -d wordpress
docker run -d --name some-ghost -e NODE_ENV=development ghost
docker run -d --name some-ghost -e NODE_ENV=development -e url=http://some-ghost.example.com -p 3001:2368 -v some-ghost-data:/var/lib/ghost/content ghost
docker run -it --rm --name my-running-script -v "$PWD":/usr/src/app -w /usr/src/app node:8 node your-daemon-or-script.js
docker run -p 8080:8080 -m 300M --memory-swap 1G -w "/home/node/app" -u node --name "nodejs-app" node
docker run -it --init node
docker run -it --rm --name my-running-app my-python-app
docker run -it --rm --name my-running-script -v "$PWD":/usr/src/myapp -w /usr/src/myapp python:3 python your-daemon-or-script.py
docker run --rm -v "$PWD":/usr/src/myapp -w /usr/src/myapp golang:1.24 go build -v
docker run --rm -v "$PWD":/usr/src/myapp -w /usr/src/myapp -e GOOS=windows -e GOARCH=386 golang:1.24 go build -v
docker run --rm -v "$PWD":/usr/src/app -w /usr/src/app ruby:3.3 bundle install
docker run -d -p 80:80 --name my-apache-php-app -v "$PWD":/var/www/html php:7.2-apache
docker run -it --rm --name my-running-script -v "$PWD":/usr/src/myapp -w /usr/src/myapp php:8.2-cli php your-script.php
docker run -dit --name my-apache-app -p 8080:80 -v "$PWD":/usr/local/apache2/htdocs/ httpd:2.4
docker run --rm httpd:2.4 cat /usr/local/apache2/conf/httpd.conf
docker run -d --hostname my-rabbit --name some-rabbit rabbitmq:3
docker run -d --hostname my-rabbit --name some-rabbit -p 8080:15672 -e RABBITMQ_DEFAULT_USER=user -e RABBITMQ_DEFAULT_PASS=password rabbitmq:3-management
docker run --name my-memcache -d memcached memcached --memory-limit=64
docker run -d --name elasticsearch -p 9200:9200 -p 9300:9300 -e "discovery.type=single-node" --ulimit nofile=65535:65535 --ulimit memlock=-1:-1 elasticsearch:8.15.0
docker run -d -p 5000:5000 --name registry registry:3
docker run -d -p 5000:5000 -e REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/somewhere -v /mnt/registry:/var/lib/registry registry:2
docker run -d -p 8080:8080 -p 80:80 -v $PWD/traefik.yml:/etc/traefik/traefik.yml traefik:v3.0
docker run -d -p 8080:8080 -p 80:80 -v /var/run/docker.sock:/var/run/docker.sock traefik:v3.0 --api.insecure=true --providers.docker
docker run -d --name my-running-haproxy --sysctl net.ipv4.ip_unprivileged_port_start=0 my-haproxy
docker run -d --name my-running-haproxy -v /path/to/etc/haproxy:/usr/local/etc/haproxy:ro --sysctl net.ipv4.ip_unprivileged_port_start=0 haproxy:2.3
docker run -it --rm --name haproxy-syntax-check my-haproxy haproxy -c -f /usr/local/etc/haproxy/haproxy.cfg
docker run --stop-timeout 3600 -d sonarqube
docker run -d --name sonarqube -e SONAR_ES_BOOTSTRAP_CHECKS_DISABLE=true -p 9000:9000 -v sonarqube_data:/opt/sonarqube/data sonarqube:latest
docker run -d -p 8080:80 nextcloud
docker run -d -v nextcloud:/var/www/html -v apps:/var/www/html/custom_apps -v config:/var/www/html/config -v data:/var/www/html/data nextcloud
docker run --name some-drupal -p 8080:80 -d drupal
docker run -d --name some-drupal -v /path/on/host/modules:/var/www/html/modules -v /path/on/host/themes:/var/www/html/themes drupal
docker run -p 8080:8080 -p 50000:50000 -v jenkins_home:/var/jenkins_home jenkins/jenkins:lts-jdk17
docker run --name myjenkins -p 8080:8080 -p 50001:50001 --env JENKINS_SLAVE_AGENT_PORT=50001 jenkins
docker run -d -p 8086:8086 -v "$PWD/data:/var/lib/influxdb2" -v "$PWD/config:/etc/influxdb2" -e DOCKER_INFLUXDB_INIT_MODE=setup -e DOCKER_INFLUXDB_INIT_RETENTION=1w influxdb:2
docker run --rm telegraf telegraf config
docker run -d --name=telegraf --net=container:influxdb -v $PWD/telegraf.conf:/etc/telegraf/telegraf.conf:ro telegraf
docker run -d --user telegraf:974 -v /var/run/docker.sock:/var/run/docker.sock telegraf
docker run -v /:/hostfs:ro -e HOST_PROC=/hostfs/proc telegraf
docker run --cap-add=IPC_LOCK -d --name=dev-vault hashicorp/vault
docker run --cap-add=IPC_LOCK -e 'VAULT_LOCAL_CONFIG={"storage": {"file": {"path": "/vault/file"}}, "default_lease_ttl": "168h"}' -p 8200:8200 hashicorp/vault server
docker run -d --name=dev-consul -e CONSUL_BIND_INTERFACE=eth0 hashicorp/consul
docker run -d --net=host -e 'CONSUL_LOCAL_CONFIG={"leave_on_terminate": true}' hashicorp/consul agent -bind=192.0.2.1 -retry-join=192.0.2.2 -bootstrap-expect=3
docker run -d -p 80:80 -v $PWD/index.html:/usr/share/caddy/index.html -v caddy_data:/data caddy
docker run -d --cap-add=NET_ADMIN -p 80:80 -p 443:443 -p 443:443/udp -v /site:/srv -v caddy_data:/data -v caddy_config:/config caddy caddy file-server --domain example.com
docker run --link some_database:db -p 8080:8080 adminer
docker run --link some_database:db -p 8080:8080 -e ADMINER_DESIGN='nette' adminer
docker run -d --privileged --name some-docker -e DOCKER_TLS_CERTDIR=/certs -v some-docker-certs-ca:/certs/ca docker:dind
docker run --rm -it --pid=host --security-opt seccomp=unconfined --cap-add SYS_PTRACE debian strace -p 1
docker run --isolation=default --rm busybox true
docker run --device /dev/null:/dev/nothing:rwm --group-add audio --tmpfs /run:size=64m --dns 9.9.9.9 --add-host host.docker.internal:host-gateway busybox
"#;

/// Splits a line into words as a shell does; only the substitutions that these lines have.
fn words(line: &str, directory: &str) -> Vec<String> {
    let line = line.replace("$(pwd)", directory).replace("$PWD", directory);
    let line = line.replace("$(id -u):$(id -g)", "1000:1000");
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The image that a line names: the first known name that is not a container's or a user's.
fn image<'a>(words: &'a [String], known: &[&'a str]) -> &'a str {
    let base = |word: &str| word.split(':').next().unwrap_or_default().to_owned();
    let is_known = |word: &str| !word.contains(":/") && known.contains(&base(word).as_str());
    let before = std::iter::once("").chain(words.iter().map(String::as_str));
    let mut candidates =
        before.zip(words).filter(|(before, word)| !["--name", "-u"].contains(before) && is_known(word));
    candidates.next().unwrap_or_else(|| panic!("no image in {words:?}")).1
}

const IMAGES: &str = "postgres redis nginx some-content-nginx mysql mariadb mongo wordpress ghost node my-python-app python \
                      golang ruby php httpd rabbitmq memcached elasticsearch registry traefik my-haproxy haproxy sonarqube \
                      nextcloud drupal jenkins/jenkins jenkins influxdb telegraf hashicorp/vault hashicorp/consul caddy \
                      adminer docker debian busybox";

#[test]
fn every_line_becomes_a_plan() {
    let sandbox = Sandbox::with_alpine();
    let passwd = "RUN for u in node telegraf; do adduser -D $u; done";
    std::fs::write(sandbox.file("Dockerfile"), format!("FROM alpine\n{passwd}\n")).unwrap();
    sandbox.ok(&["build", "-q", "-t", "base", sandbox.file(".").to_str().unwrap()]);
    sandbox.ok(&["run", "-d", "--network", "none", "--name", "influxdb", "alpine", "sleep", "600"]);
    let directory = sandbox.file("work").to_str().unwrap().to_owned();
    let known: Vec<&str> = IMAGES.split_whitespace().collect();
    let before = (sandbox.stored("containers"), sandbox.stored("volumes"));
    for line in LINES.lines().filter(|line| !line.is_empty()) {
        let words = words(line.strip_prefix("docker run ").unwrap(), &directory);
        sandbox.ok(&["tag", "base", image(&words, &known)]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = sandbox.run(&[&["run", "--dry-run"], &words[..]].concat());
        assert_eq!(output.code, 0, "{line}\n{}", output.streams());
        assert!(output.stdout.contains("execve("), "{line}\n{}", output.streams());
        let is_told = |text: &str| text.lines().all(|line| line.starts_with("note: ") && line.len() < 160);
        assert!(is_told(&output.stderr), "{line}\n{}", output.stderr);
    }
    assert_eq!((sandbox.stored("containers"), sandbox.stored("volumes")), before, "a dry run has made something");
    assert!(!std::path::Path::new(&directory).exists(), "a dry run has made a directory");
}
