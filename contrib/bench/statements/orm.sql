SELECT "shop_order"."id", "shop_order"."created_at", "shop_order"."updated_at", "shop_order"."customer_id", "shop_order"."status", "shop_order"."currency", "shop_order"."total_net", "shop_order"."total_gross", "shop_order"."shipping_address_id", "shop_order"."billing_address_id", "shop_order"."token", "shop_order"."voucher_id", "shop_customer"."id", "shop_customer"."email", "shop_customer"."first_name", "shop_customer"."last_name", "shop_customer"."is_active", "shop_customer"."date_joined" FROM "shop_order" INNER JOIN "shop_customer" ON ("shop_order"."customer_id" = "shop_customer"."id") WHERE ("shop_order"."status" IN ('paid', 'shipped', 'delivered') AND "shop_customer"."is_active" = true AND "shop_order"."created_at" >= '2026-03-01T00:00:00+00:00'::timestamptz) ORDER BY "shop_order"."created_at" DESC, "shop_order"."id" DESC LIMIT 25 OFFSET 50

SELECT users.id AS users_id, users.name AS users_name, users.fullname AS users_fullname, users.nickname AS users_nickname, addresses_1.id AS addresses_1_id, addresses_1.email_address AS addresses_1_email_address, addresses_1.user_id AS addresses_1_user_id 
FROM users LEFT OUTER JOIN addresses AS addresses_1 ON users.id = addresses_1.user_id 
WHERE users.name = $1 AND users.deleted_at IS NULL ORDER BY users.id, addresses_1.id 
 LIMIT 100

select order0_.id as id1_3_0_, customer1_.id as id1_1_1_, order0_.created_on as created_2_3_0_, order0_.customer_id as customer5_3_0_, order0_.number as number3_3_0_, order0_.state as state4_3_0_, customer1_.birthday as birthday2_1_1_, customer1_.email as email3_1_1_, customer1_.first_name as first_na4_1_1_, customer1_.last_name as last_nam5_1_1_, items2_.order_id as order_id4_2_2__, items2_.id as id1_2_2__, items2_.product_id as product_5_2_3_, items2_.quantity as quantity2_2_3_, items2_.unit_price as unit_pri3_2_3_ from orders order0_ inner join customers customer1_ on order0_.customer_id=customer1_.id left outer join order_items items2_ on order0_.id=items2_.order_id where order0_.state<>$1 and (customer1_.email like $2 escape '!') and order0_.created_on between $3 and $4 order by order0_.created_on desc

SELECT "posts".* FROM "posts" INNER JOIN "taggings" ON "taggings"."taggable_id" = "posts"."id" AND "taggings"."taggable_type" = $1 INNER JOIN "tags" ON "tags"."id" = "taggings"."tag_id" WHERE "posts"."published" = TRUE AND "tags"."name" = $2 AND (posts.published_at <= NOW() AND (posts.expires_at IS NULL OR posts.expires_at > NOW())) ORDER BY "posts"."published_at" DESC LIMIT $3 /*application:Blog,controller:posts,action:index*/

SELECT COUNT(*) AS count_all, date_trunc('day', events.created_at::timestamptz AT TIME ZONE 'Europe/Berlin') AT TIME ZONE 'Europe/Berlin' AS day FROM "events" WHERE "events"."account_id" = 4711 AND "events"."kind" IN (1, 2, 3, 5, 8, 13) AND "events"."created_at" BETWEEN '2026-10-01 00:00:00' AND '2026-10-31 23:59:59.999999' GROUP BY day ORDER BY day ASC

UPDATE "accounts_profile" SET "user_id" = 8812, "display_name" = 'Jane Q. Public', "bio" = 'Likes long walks, short functions and the occasional semicolon; isn''t fond of surprises.', "timezone" = 'America/New_York', "locale" = 'en-us', "newsletter" = false, "avatar" = 'avatars/2026/11/8812-0f3c9a.png', "last_seen" = '2026-11-28T09:14:55.120394+00:00'::timestamptz, "preferences" = '{"theme": "dark", "density": "compact", "columns": ["name", "owner", "updated"]}'::jsonb WHERE "accounts_profile"."id" = 8790

SELECT DISTINCT ON (t.id) t.id, t.title, t.description, t.priority, t.due_date, p.name AS project_name, u.username AS assignee, (SELECT count(*) FROM comments c WHERE c.ticket_id = t.id AND c.deleted = false) AS n_comments, coalesce(s.total_seconds, 0) / 3600.0 AS hours_spent FROM tickets t JOIN projects p ON p.id = t.project_id LEFT JOIN users u ON u.id = t.assignee_id LEFT JOIN LATERAL (SELECT sum(extract(epoch FROM w.ended_at - w.started_at)) AS total_seconds FROM worklogs w WHERE w.ticket_id = t.id) s ON true WHERE p.organisation_id = $1 AND t.status = ANY($2::text[]) AND (t.title ILIKE '%' || $3 || '%' OR t.description ILIKE '%' || $3 || '%') ORDER BY t.id, t.due_date NULLS LAST LIMIT 50

SELECT "auth_permission"."id", "auth_permission"."name", "auth_permission"."content_type_id", "auth_permission"."codename" FROM "auth_permission" INNER JOIN "auth_group_permissions" ON ("auth_permission"."id" = "auth_group_permissions"."permission_id") INNER JOIN "auth_group" ON ("auth_group_permissions"."group_id" = "auth_group"."id") INNER JOIN "auth_user_groups" ON ("auth_group"."id" = "auth_user_groups"."group_id") INNER JOIN "django_content_type" ON ("auth_permission"."content_type_id" = "django_content_type"."id") WHERE "auth_user_groups"."user_id" = 42 ORDER BY "django_content_type"."app_label" ASC, "django_content_type"."model" ASC, "auth_permission"."codename" ASC

WITH recent AS (
    SELECT o.customer_id,
           max(o.created_at) AS last_order,
           sum(o.total) AS spent
    FROM orders o
    WHERE o.created_at > now() - interval '90 days'
      AND o.status <> 'cancelled'
    GROUP BY o.customer_id
    HAVING sum(o.total) > 250.00
)
SELECT c.id, c.email, c.segment, r.last_order, r.spent,
       rank() OVER (PARTITION BY c.segment ORDER BY r.spent DESC) AS position -- within the segment
FROM customers c
JOIN recent r ON r.customer_id = c.id
WHERE NOT EXISTS (SELECT 1 FROM unsubscribed u WHERE u.email = c.email)
ORDER BY c.segment, position
LIMIT 200

SELECT "session"."session_key", "session"."session_data", "session"."expire_date" FROM "session" WHERE ("session"."expire_date" > '2026-11-28T09:20:00+00:00'::timestamptz AND "session"."session_key" = 'k3v0q8d5m2z7x1c9b4n6') LIMIT 21

SELECT "User"."id", "User"."email", "User"."createdAt", "User"."updatedAt", "Tasks"."id" AS "Tasks.id", "Tasks"."title" AS "Tasks.title", "Tasks"."done" AS "Tasks.done", "Tasks"."UserId" AS "Tasks.UserId" FROM "Users" AS "User" LEFT OUTER JOIN "Tasks" AS "Tasks" ON "User"."id" = "Tasks"."UserId" AND "Tasks"."done" = false WHERE "User"."tenantId" = 'b1e0a7a2-6f57-4f0e-9a53-2d6f8c3f9a10' AND "User"."role" != 'guest' ORDER BY "User"."createdAt" DESC;
