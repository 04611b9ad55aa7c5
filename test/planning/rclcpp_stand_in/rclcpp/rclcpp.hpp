// Stands in for rclcpp where rclcpp is not available. The stand-in has the few calls that the example makes, on the
// real rcl and middleware.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "rcl/error_handling.h"
#include "rcl/rcl.h"
#include "rosidl_typesupport_cpp/message_type_support.hpp"

namespace rclcpp
{

inline volatile std::sig_atomic_t interrupted = 0;
inline rcl_context_t context = rcl_get_zero_initialized_context();

inline void check(rcl_ret_t result)
{
  if (result != RCL_RET_OK) {throw std::runtime_error(rcl_get_error_string().str);}
}

inline void init(int argc, char ** argv)
{
  std::signal(SIGINT, [](int) {interrupted = 1;});
  rcl_init_options_t options = rcl_get_zero_initialized_init_options();
  check(rcl_init_options_init(&options, rcl_get_default_allocator()));
  check(rcl_init(argc, argv, &options, &context));
}

inline void shutdown() {check(rcl_shutdown(&context));}

struct Time
{
  std::int64_t value;
  std::int64_t nanoseconds() const {return value;}
};

struct Subscription
{
  rcl_subscription_t handle = rcl_get_zero_initialized_subscription();
  std::function<void()> take;
};

struct Timer
{
  std::chrono::steady_clock::duration period;
  std::chrono::steady_clock::time_point due;
  std::function<void()> callback;
};

struct Node
{
  rcl_node_t handle = rcl_get_zero_initialized_node();
  std::vector<std::shared_ptr<Subscription>> subscriptions;
  std::vector<std::shared_ptr<Timer>> timers;

  explicit Node(const std::string & name)
  {
    const rcl_node_options_t options = rcl_node_get_default_options();
    check(rcl_node_init(&handle, name.c_str(), "", &context, &options));
  }

  template<class Message, class Callback>
  std::shared_ptr<Subscription> create_subscription(const std::string & topic, std::size_t depth, Callback callback)
  {
    auto made = std::make_shared<Subscription>();
    auto options = rcl_subscription_get_default_options();
    options.qos.depth = depth;
    const auto * type = rosidl_typesupport_cpp::get_message_type_support_handle<Message>();
    check(rcl_subscription_init(&made->handle, &handle, type, topic.c_str(), &options));
    auto * raw = made.get();
    made->take = [raw, callback] {
        auto message = std::make_shared<Message>();
        if (rcl_take(&raw->handle, message.get(), nullptr, nullptr) == RCL_RET_OK) {callback(message);}
      };
    subscriptions.push_back(made);
    return made;
  }

  template<class Callback>
  std::shared_ptr<Timer> create_wall_timer(std::chrono::milliseconds period, Callback callback)
  {
    timers.push_back(std::make_shared<Timer>(Timer{period, std::chrono::steady_clock::now() + period, callback}));
    return timers.back();
  }

  Time now() const
  {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<std::chrono::nanoseconds>(since).count()};
  }
};

inline void spin(const std::shared_ptr<Node> & node)
{
  auto set = rcl_get_zero_initialized_wait_set();
  const std::size_t count = node->subscriptions.size();
  check(rcl_wait_set_init(&set, count, 0, 0, 0, 0, 0, &context, rcl_get_default_allocator()));
  while (!interrupted) {
    check(rcl_wait_set_clear(&set));
    for (auto & s : node->subscriptions) {check(rcl_wait_set_add_subscription(&set, &s->handle, nullptr));}
    const rcl_ret_t result = rcl_wait(&set, 5'000'000);
    if (result == RCL_RET_OK) {
      for (auto & s : node->subscriptions) {s->take();}
    }
    for (auto & timer : node->timers) {
      if (std::chrono::steady_clock::now() >= timer->due) {
        timer->due += timer->period;
        timer->callback();
      }
    }
  }
}

}  // namespace rclcpp
