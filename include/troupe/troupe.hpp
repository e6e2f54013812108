/// All of troupe: tasks, actors, objects, pools.
#pragma once

#include <troupe/actor.hpp>
#include <troupe/actor_pool.hpp>
#include <troupe/async.hpp>
#include <troupe/config.hpp>
#include <troupe/error.hpp>
#include <troupe/generator.hpp>
#include <troupe/in_process.hpp>
#include <troupe/log.hpp>
#include <troupe/object_ref.hpp>
#include <troupe/options.hpp>
#include <troupe/placement_group.hpp>
#include <troupe/progress.hpp>
#include <troupe/resources.hpp>
#include <troupe/runtime.hpp>
#include <troupe/runtime_env.hpp>
#include <troupe/supervisor.hpp>
#include <troupe/task.hpp>
