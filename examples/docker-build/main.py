import greetings

print(greetings.greet("container"))
